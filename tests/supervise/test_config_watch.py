"""The watcher: each way in which a YAML file changes under it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tree_process import HERE, until

from appliance.config.apply import apply
from appliance.config.watch import folders_to, readable
from appliance.state import State

YAML = """\
version: 1
hostname: mx.example.org
domains:
  example.org:
    mailboxes:
      alice: {}
    aliases: {postmaster: [alice]}
"""
OTHER = YAML.replace("alice: {}", "alice: {}\n      bob: {}")


class Watched:
    """A state folder whose generation was made from `config`, and its watcher."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.config = config
        self.state = State(folder / "state")
        self.state.run.mkdir(parents=True)
        apply(config, self.state, ("", ""))
        (self.state.run / "mail.yaml").symlink_to(config)
        self._log = folder / "log"
        with self._log.open("wb") as log:
            command = [sys.executable, HERE / "watch_process.py", self.state.root]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(lambda: self.log("started"), 10, "its start")

    def log(self, event: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self._log.read_bytes().rpartition(b"\n")[0].splitlines()]
        return [line for line in lines if line["event"] == event]

    def has_bob(self) -> bool:
        return b"bob" in (self.state.generation / "users" / "assign").read_bytes()

    def watches(self, folder: Path) -> bool:
        """Does the kernel tell it of changes there (proc_pid_fdinfo(5))? Else the slow look finds them."""
        try:
            told = [path.read_text() for path in Path(f"/proc/{self.process.pid}/fdinfo").iterdir()]
        except PermissionError:  # only root may look
            return True
        return any(f" ino:{folder.stat().st_ino:x} " in text for text in told)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def replace(path: Path, text: str) -> None:
    """In one step: whoever looks meanwhile finds the old file or the new one, never a part."""
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    """Makes watchers and ends them."""
    made: list[Watched] = []

    def make(config: Path) -> Watched:
        made.append(Watched(tmp_path, config))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.fixture
def plain(tmp_path: Path, watched: Callable[..., Watched]) -> Watched:
    """The watcher of a plain file."""
    config = tmp_path / "config" / "mail.yaml"
    config.parent.mkdir()
    config.write_text(YAML)
    return watched(config)


def test_a_file_edited_in_place_comes_into_force(plain: Watched) -> None:
    """Well within the slow look's five seconds, and with a line that names both hashes."""
    before = os.readlink(plain.state.generation)
    plain.config.write_text(OTHER)
    until(plain.has_bob, 3, "the new generation")
    (line,) = until(lambda: plain.log("activated"), 1, "its line")
    assert line["previous"] == Path(before).name
    assert line["configuration"] == Path(os.readlink(plain.state.generation)).name


def test_a_file_replaced_by_a_rename_comes_into_force(plain: Watched) -> None:
    """As git and most editors write; and again, for the new file is watched as well."""
    for text, bob in ((OTHER, True), (YAML, False), (OTHER, True)):
        replace(plain.config, text)
        until(lambda bob=bob: plain.has_bob() is bob, 3, "the new generation")


def test_a_configmap_swap_comes_into_force(tmp_path: Path, watched: Callable[..., Watched]) -> None:
    """Kubernetes swaps the link `..data`; twice, and removes the old folder."""
    folder = tmp_path / "config"
    folder.mkdir()

    def publish(name: str, text: str) -> None:
        (folder / name).mkdir()
        (folder / name / "mail.yaml").write_text(text)
        (folder / "..data_tmp").symlink_to(name)
        (folder / "..data_tmp").replace(folder / "..data")

    publish("..1", YAML)
    (folder / "mail.yaml").symlink_to("..data/mail.yaml")
    made = watched(folder / "mail.yaml")
    publish("..2", OTHER)
    (folder / "..1" / "mail.yaml").unlink()
    (folder / "..1").rmdir()
    until(made.has_bob, 3, "the second ConfigMap")
    publish("..3", YAML)
    until(lambda: not made.has_bob(), 3, "the third ConfigMap")


def test_a_broken_file_changes_nothing_and_every_problem_is_a_line(plain: Watched) -> None:
    """The last good generation stays, and the repaired file is taken."""
    before = os.readlink(plain.state.generation)
    replace(plain.config, OTHER.replace("version: 1", "version: 7").replace("hostname", "hostnam"))
    refusals = until(lambda: len(found := plain.log("configuration_refused")) >= 2 and found, 3, "the refusal")
    assert isinstance(refusals, list)
    assert all(str(line["error"]).startswith(f"{plain.config}:") for line in refusals)
    assert {line["configuration"] for line in refusals} == {Path(before).name}
    assert os.readlink(plain.state.generation) == before
    replace(plain.config, OTHER)
    until(plain.has_bob, 3, "the repaired file")


def test_a_refused_file_that_is_taken_back_is_told(plain: Watched) -> None:
    """Else a refusal would be the last word in the log although all is well again."""
    replace(plain.config, "nonsense: 1\n")
    until(lambda: plain.log("configuration_refused"), 3, "the refusal")
    replace(plain.config, YAML)
    (line,) = until(lambda: plain.log("activated"), 3, "its end")
    assert line["configuration"] == line["previous"] == Path(os.readlink(plain.state.generation)).name


def test_a_fifo_in_the_file_s_place_changes_nothing(plain: Watched) -> None:
    """It is refused instead of waited for, and a file in its place comes into force."""
    fifo = plain.config.with_name("fifo")
    os.mkfifo(fifo)
    fifo.rename(plain.config)
    until(lambda: plain.log("configuration_refused"), 3, "the report")
    plain.config.unlink()
    replace(plain.config, OTHER)
    until(plain.has_bob, 3, "the file in its place")


def test_a_missing_file_changes_nothing(plain: Watched) -> None:
    """A file that is gone is reported once; what it said stays in force."""
    before = os.readlink(plain.state.generation)
    plain.config.unlink()
    until(lambda: plain.log("configuration_refused"), 3, "the report")
    assert os.readlink(plain.state.generation) == before
    replace(plain.config, OTHER)
    until(plain.has_bob, 3, "the file that came back")


def test_the_same_content_again_changes_nothing(plain: Watched) -> None:
    """Another file with other comments and the same meaning: no activation, no line."""
    before = os.readlink(plain.state.generation), plain.state.generation.lstat().st_mtime_ns
    replace(plain.config, "# a comment\n" + YAML)
    time.sleep(1)
    assert (os.readlink(plain.state.generation), plain.state.generation.lstat().st_mtime_ns) == before
    assert not plain.log("activated")
    assert not plain.log("trouble")


def test_sighup_looks_now_and_sigterm_ends(plain: Watched) -> None:
    """SIGHUP checks a file again that has not changed; SIGTERM is exit status 0."""
    replace(plain.config, "nonsense: 1\n")
    mistakes = 4  # nonsense is unknown; version, hostname and domains are missing
    until(lambda: len(plain.log("configuration_refused")) == mistakes, 3, "the refusal")
    plain.process.send_signal(signal.SIGHUP)
    until(lambda: len(plain.log("configuration_refused")) == 2 * mistakes, 3, "the refusal once more")
    plain.process.terminate()
    assert plain.process.wait(60) == 0


def test_a_file_that_the_yaml_includes_counts_as_part_of_it(tmp_path: Path, watched: Callable[..., Watched]) -> None:
    """A changed users/assign takes effect; a wrong one is refused, and taken when it is right again."""
    assign = tmp_path / "config" / "users" / "assign"
    assign.parent.mkdir(parents=True)
    replace(assign, "=joe:joe:7:7:mail/joe:::\n.\n")
    config = tmp_path / "config" / "mail.yaml"
    config.write_text(YAML + "users: {assign: users/assign}\n")
    one = watched(config)
    until(lambda: one.watches(config.parent), 10, "its start")
    config.touch()  # else the first look is five seconds after the start
    until(lambda: one.watches(assign.parent), 10, "its look at the file")
    replace(assign, "=bob:bob:7:7:mail/bob:::\n.\n")
    until(one.has_bob, 3, "bob in force")
    replace(assign, "=bob:bob:7:7:/home/bob:::\n.\n")
    until(lambda: one.log("configuration_refused"), 3, "the refusal")
    assert "users/assign line 1" in str(one.log("configuration_refused")[0])
    replace(assign, "=sue:sue:7:7:mail/sue:::\n.\n")
    until(lambda: not one.has_bob(), 3, "sue in force")


def test_the_watcher_can_write_generations_only(plain: Watched) -> None:
    """Its sandbox is on: the kernel says so, and a state folder's mail is closed to it."""
    assert "NoNewPrivs:\t1" in Path(f"/proc/{plain.process.pid}/status").read_text()
    assert not plain.log("warning")


def test_a_yaml_file_beside_the_state_folder_weakens_the_sandbox_and_says_so(
    tmp_path: Path, watched: Callable[..., Watched]
) -> None:
    """What may read the file's folder may read everything below it: mail and tokens, too."""
    (tmp_path / "mail.yaml").write_text(YAML)
    (warning,) = watched(tmp_path / "mail.yaml").log("warning")
    assert "separate them" in str(warning["what"])


def test_the_folders_of_every_link_are_watched(tmp_path: Path) -> None:
    """A change of any link on the way to the file can make it another file."""
    real = tmp_path / "releases" / "5"
    real.mkdir(parents=True)
    (real / "mail.yaml").write_text(YAML)
    (tmp_path / "current").symlink_to("releases/5")
    (tmp_path / "etc").mkdir()
    config = tmp_path / "etc" / "mail.yaml"
    config.symlink_to("../current/mail.yaml")
    assert folders_to(config) == [tmp_path / "etc", tmp_path, real]
    assert readable(config) == {tmp_path / "etc", real}
