"""A small ext4 of one's own, in a file, for faults that only a real disk has."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pytest
from fault_post import YAML, Post, Sent, wait_until

from appliance.supervise.health import examine


class Disk:
    """An ext4 in a file, mounted at `mount`; options of mkfs.ext4(8). Skips where it can't be had."""

    def __init__(self, mount: Path, megabytes: int, *options: str) -> None:
        if os.geteuid() or shutil.which("mkfs.ext4") is None:
            pytest.skip("a disk of one's own needs root and mkfs.ext4")
        self.mount, self._image = mount, mount.parent / f"{mount.name}.img"
        mount.mkdir(parents=True)
        with self._image.open("wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", *options, self._image], check=True)

    def __enter__(self) -> Self:
        command = ["mount", "-o", "loop,errors=remount-ro", self._image, self.mount]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", self.mount], check=True)
        self._image.unlink()

    def read_only(self, yes: bool) -> bool:
        """Mount it anew so; False if somebody writes just now."""
        command = ["mount", "-o", f"remount,{'ro' if yes else 'rw'}", self.mount]
        return not subprocess.run(command, check=False, capture_output=True).returncode

    def fail(self) -> None:
        """The kernel finds an error in the file system: read-only from now on, also for files that are open."""
        name = os.path.basename(os.path.realpath(f"/sys/dev/block/{os.major(self._device)}:{os.minor(self._device)}"))
        Path("/sys/fs/ext4", name, "trigger_fs_error").write_text("1")

    @property
    def _device(self) -> int:
        return self.mount.stat().st_dev

    def repair(self) -> None:
        """Unmount it, as nothing uses it any more; have it checked and mended, mount it again."""
        command = ["umount", self.mount]
        wait_until(
            lambda: not subprocess.run(command, check=False, capture_output=True).returncode, 10, "it is not used"
        )
        status = subprocess.run(["e2fsck", "-fy", self._image], check=False, capture_output=True).returncode
        assert status in (0, 1), status
        self.__enter__()


class OnDisk(Post):
    """An appliance some of whose state folder is on such a disk."""

    def __init__(self, folder: Path) -> None:
        # A program that has ended well has taken the message: what it did not sync goes with the disk.
        super().__init__(folder, YAML.replace("cat >>got", "cat >>got && sync got"))

    def health(self) -> str:
        """What `paperpath health` says."""
        return "\n".join(examine(self.state).problems)

    def warned(self, what: str) -> bool:
        """Whether the log has such a warning."""
        return any(what in str(line["what"]) for line in self.appliance.log("warning"))

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
