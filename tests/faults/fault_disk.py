"""A small ext4 of one's own, in a file, for faults that only a real disk has."""

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import pytest
from fault_post import Post, Sent

from appliance.supervise.health import examine


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int, *options: str) -> Iterator[Path]:
    """A mounted ext4; options of mkfs.ext4(8). Skips where it can't be had."""
    if os.geteuid() or shutil.which("mkfs.ext4") is None:
        pytest.skip("a disk of one's own needs root and mkfs.ext4")
    image, mount = folder / "disk.img", folder / "disk"
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", *options, image], check=True)
    mount.mkdir()
    done = subprocess.run(["mount", "-o", "loop", image, mount], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", mount], check=True)
        image.unlink()


class OnDisk(Post):
    """An appliance whose state folder is on such a disk."""

    def __init__(self, folder: Path, disk: Path) -> None:
        super().__init__(folder)
        self.appliance.state.symlink_to(disk)

    def health(self) -> str:
        """What `paperpath health` says."""
        return "\n".join(examine(self.state).problems)

    def starts(self, program: str) -> int:
        """How often a program has begun."""
        return sum(line["program"] == program for line in self.appliance.log("started"))


class Load:
    """Senders that never rest; what they were not answered 250 for they send again at the end."""

    def __init__(self, post: Post, *names: str, senders: int = 2) -> None:
        self.sent: list[Sent] = []
        self._post, self._names = post, names
        self._stop = threading.Event()
        self._write = threading.Lock()
        self._failure: BaseException | None = None
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(senders)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                with self._write:
                    messages = self._post.write(*self._names)
                    self.sent += messages
                for message in messages:
                    self._post.attempt(message)
                time.sleep(0.1)
        except BaseException as error:  # noqa: BLE001  # raised by whoever started us
            self._failure = error

    def answers(self, since: int) -> Sequence[int]:
        """The first answers to all messages but the first ones."""
        return [message.answers[0] for message in self.sent[since:] if message.answers]
