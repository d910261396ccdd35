"""A flood of refusals does not fill the disk with its lines, and costs no line about a message."""

import json
import os

from hypothesis import given
from hypothesis import strategies as st

from appliance import log
from appliance.log_flood import ALL, EACH, NAMED, WINDOW, Flood

LINES = st.lists(
    st.tuples(st.sampled_from(["refused", "warning"]), st.integers(0, 200).map(str), st.floats(0, 3)), max_size=300
)


@given(LINES)
def test_each_line_is_written_or_counted_once(found) -> None:
    """Whatever comes in whatever order: written and counted make all, and no client has more than its share."""
    flood, now, written, counted = Flood(window=10, each=3, most=20), 0.0, [], 0
    for event, who, pause in found:
        now += pause
        counted += sum(repeated.lines for repeated in flood.ended(now))
        if flood.passes(event, who, now):
            written.append((now, event, who))
    counted += sum(repeated.lines for repeated in flood.ended(float("inf")))
    assert len(written) + counted == len(found)
    for began, event, who in written:
        window = [each for each in written if began <= each[0] < began + 10 and each[1:] == (event, who)]
        assert len(window) <= 2 * 3  # it may lie across two of them


def test_what_is_kept_for_counting_is_bounded() -> None:
    """A client with a new address for each line costs no memory; the others are one line."""
    flood = Flood()
    for number in range(50_000):
        flood.passes("refused", f"client {number}", 1.0)
    repeated = flood.ended(1.0 + WINDOW)
    assert len(repeated) == NAMED + 1
    assert sum(each.lines for each in repeated) == 50_000 - ALL
    assert repeated[-1].of == ""


def test_a_flood_of_refusals_is_counted_and_deliveries_are_written(tmp_path) -> None:
    """100 lines for the client, one that says how many more there were, and each delivery's own."""
    path = tmp_path / "log"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    waiting = []
    log.setup("test", fd=fd, wait=lambda seconds, call: waiting.append((seconds, call)))
    try:
        for number in range(5_000):
            log.refused("192.0.2.1", b"x", b"a@b", b"%d@example.org" % number, "550 5.1.1 no such mailbox here")
            log.delivered(f"m{number}", b"alice@example.org", "maildir", 1, 0.1)
        log.refused("192.0.2.2", b"x", b"a@b", b"another@example.org", "550 5.1.1 no such mailbox here")
        assert [seconds for seconds, _ in waiting] == [WINDOW]
        log.stopped()
    finally:
        log.setup("test")
        os.close(fd)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    events = [line["event"] for line in lines]
    assert events.count("delivered") == 5_000
    assert sum(line["event"] == "refused" and line["client"] == "192.0.2.1" for line in lines) == EACH
    assert sum(line["event"] == "refused" and line["client"] == "192.0.2.2" for line in lines) == 1
    (repeated,) = [line for line in lines if line["event"] == "repeated"]
    assert (repeated["what"], repeated["of"], repeated["lines"]) == ("refused", "192.0.2.1", 5_000 - EACH)
