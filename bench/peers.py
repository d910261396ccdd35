"""Other mail servers from Debian's packages, unpacked into a folder: nothing is installed.

They conflict with Postfix and with each other, and have their paths compiled in. So each runs in a private mount
namespace, in which its files, a few users, and its fresh folders appear at the places it expects.
"""

import os
import shutil
import subprocess
from pathlib import Path

PACKAGES = Path("build/bench/peers")
DAEMON_UID, MAILBOX_UID, QUEUE_UID = 28001, 28002, 28003


class NotAvailable(Exception):
    """A contestant can't run on this machine; the text says why."""


def unpacked(packages: list[str]) -> Path:
    """A folder with these Debian packages' files, downloaded when needed. Raises NotAvailable."""
    folder = (PACKAGES / packages[0]).resolve()
    if (folder / ".complete").exists():
        return folder
    for tool in ("apt-get", "dpkg"):
        if not shutil.which(tool):
            raise NotAvailable(f"{tool} is missing (Debian's packages are compared)")
    archives = folder / ".archives"
    shutil.rmtree(folder, ignore_errors=True)
    archives.mkdir(parents=True)
    _run(["apt-get", "download", "-q", *packages], archives)
    for archive in sorted(archives.glob("*.deb")):
        _run(["dpkg", "-x", str(archive), str(folder)], archives)
    if (folder / "lib").is_dir():  # /lib is /usr/lib everywhere now
        shutil.copytree(folder / "lib", folder / "usr" / "lib", symlinks=True, dirs_exist_ok=True)
    folder.chmod(0o755)
    (folder / ".complete").touch()
    return folder


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise NotAvailable(f"{' '.join(command[:2])}: {lines[-1] if lines else 'failed'}")


def package_version(root: Path, package: str) -> str:
    """The upstream version of an unpacked package."""
    archive = next((root / ".archives").glob(f"{package}_*.deb"))
    version = subprocess.run(["dpkg-deb", "-f", archive, "Version"], capture_output=True, text=True, check=True)
    return version.stdout.strip().rpartition("-")[0].partition("p2")[0]


def need_root() -> str | None:
    """Why it can't run, if this is not root."""
    return "it must be started as root" if os.geteuid() else None


def obstacle(packages: list[str]) -> str | None:
    """Why a server of these Debian packages can't run here."""
    try:
        unusable = need_root()
        if unusable is None:
            unpacked(packages)
    except NotAvailable as reason:
        return str(reason)
    return unusable


def private_etc(folder: Path, users: dict[str, tuple[int, str]]) -> Path:
    """An etc folder to lay over /etc: this machine's users and groups plus `users` (name: uid, home)."""
    etc = folder / "etc"
    etc.mkdir()
    passwd = Path("/etc/passwd").read_text()
    group = Path("/etc/group").read_text()
    for name, (uid, home) in users.items():
        passwd += f"{name}:x:{uid}:{uid}::{home}:/bin/sh\n"
        group += f"{name}:x:{uid}:\n"
    (etc / "resolv.conf").write_text("nameserver 127.28.0.53\n")
    (etc / "passwd").write_text(passwd)
    (etc / "group").write_text(group)
    return etc


def give(path: Path, uid: int, gid: int | None = None) -> None:
    """Give a folder and all in it to a user."""
    for top, _, files in os.walk(path):
        for name in (top, *(os.path.join(top, file) for file in files)):
            os.chown(name, uid, uid if gid is None else gid)


def closed_to_others(path: Path) -> Path | None:
    """The folder on the way to `path` that ordinary users may not enter, if there is one."""
    return next((folder for folder in reversed(path.absolute().parents) if not folder.stat().st_mode & 0o001), None)
