"""A machine of many slow cores on one of few fast ones: each process may use a tenth of a core, all together N tenths.

Time runs ten times slower for the programs, so messages/s times ten are those of N cores, as far as processors set the
pace; the disk and the loopback are as fast as before, ten times too fast.  Made with cgroup v1's processor quota.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

SHARE = 10  # slow cores make one
_PERIOD = 10_000  # microseconds; a tenth of it is the smallest quota that the kernel takes
_ROOT = Path("/sys/fs/cgroup/cpu")


def missing() -> str | None:
    """Why there are none here."""
    if (_ROOT / "cpu.cfs_quota_us").exists() and os.access(_ROOT, os.W_OK):
        return None
    return "no writable cgroup v1 with processor quotas"


@contextmanager
def slow_cores(pids: Iterable[int], cores: int) -> Iterator[None]:
    """Let these processes run on `cores` slow cores until the end. Raises OSError."""
    with ExitStack() as groups:
        whole = groups.enter_context(_group(_ROOT / f"paperpath-cores-{os.getpid()}", cores))
        for pid in pids:
            one = groups.enter_context(_group(whole / str(pid), 1))
            (one / "cgroup.procs").write_text(str(pid))
        yield


@contextmanager
def _group(folder: Path, cores: int) -> Iterator[Path]:
    folder.mkdir()
    try:
        (folder / "cpu.cfs_period_us").write_text(str(_PERIOD))
        (folder / "cpu.cfs_quota_us").write_text(str(cores * _PERIOD // SHARE))
        yield folder
    finally:
        for pid in (folder / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):  # it has ended meanwhile
                (_ROOT / "cgroup.procs").write_text(pid)
        folder.rmdir()
