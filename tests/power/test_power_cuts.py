"""A power cut at any instant loses nothing that was promised; what each program has synced is all that is sure to be there."""

from pathlib import Path

import power_parts
import power_queue
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from power_cuts import place, try_all
from power_disk import Disk, Fate
from power_record import recording

FATES = 3  # of each cut: nothing survives, everything, and something


@pytest.mark.parametrize("part", power_parts.PARTS)
def test_no_power_cut_loses_what_was_promised(part: str) -> None:
    """Before every write, sync and change of a name, whatever survives of what was not synced."""
    with place() as folder:
        assert power_parts.PARTS[part](Path(folder), FATES) > 100


@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(st.sampled_from(power_queue.STEPS), min_size=8, max_size=16), seed=st.integers(0, 1000))
def test_no_order_of_events_leaves_the_queue_without_its_mail(steps: list[str], seed: int) -> None:
    """Mail comes, is delivered, put off, refused, the queue rests and is started again, in any order."""
    with place() as name:
        folder = Path(name)
        state = power_queue.prepared(folder / "state")
        with recording(state.root) as taken:
            power_queue.work(state, taken.mark, steps, seed)
        assert try_all(taken, power_queue.judge, folder, 4, seed=str(seed), every=8, twice=8) > 20


def left(events: list[tuple], fate: int) -> dict[str, bytes]:
    """The files that are there after a cut."""
    disk = Disk()
    for event in events:
        disk.follow(event)
    with place() as folder:
        image = Path(folder) / "image"
        disk.image(image, Fate(fate, "seed"))
        return {path.relative_to(image).as_posix(): path.read_bytes() for path in image.rglob("*") if path.is_file()}


def taken_from(folder: Path, work) -> list[tuple]:
    """What the recording says of some work on an empty folder."""
    with recording(folder) as taken:
        work()
    return taken.events


def test_the_model_forgets_what_was_not_synced(tmp_path: Path) -> None:
    """A file needs a sync of its own and one of its folder; a rename inside a folder is there or is not."""
    import os

    from appliance import safeio

    def write() -> None:
        safeio.write_file(tmp_path / "a", [b"text"])

    def rename() -> None:
        os.rename(tmp_path / "a", tmp_path / "b")

    written = taken_from(tmp_path, write)
    assert left(written, 0) == {}
    assert left(written, 1) == {"a": b"text"}
    assert left([*written, ("sync", 0)], 0) == {"a": b"text"}
    renamed = taken_from(tmp_path, rename)
    assert left(renamed, 0) == {"a": b"text"}
    assert left(renamed, 1) == {"b": b"text"}
    assert {tuple(left(renamed, fate)) for fate in range(20)} == {("a",), ("b",)}
