"""Assemble the image's root folder in the build stage: what runs, whence it came, and nothing else.

    python3 rootfs.py PACKAGES APPLICATION WHEELS DEBIAN ROOT

PACKAGES holds the installed wheels, APPLICATION our own package; WHEELS and DEBIAN are for sbom.py.  From Debian come
the files of the table below, the shared libraries that any of all this needs, the copyright file of each package that
gave a file, and its entry in dpkg's status.d, which is where scanners look.
"""

import compileall
import fnmatch
import os
import py_compile
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import sbom

# Debian package -> which of its files run
KEEP: dict[str, tuple[str, ...]] = {
    "base-files": ("/etc/debian_version", "/etc/os-release", "/usr/lib/os-release", "/usr/share/common-licenses/*"),
    "ca-certificates": (),  # its bundle is generated: see GENERATED
    "dash": ("/usr/bin/dash",),  # for |program lines
    "libcrypt1": ("*/libcrypt.so.1*",),  # password.py loads it by its name
    "libgcc-s1": ("*/libgcc_s.so.1",),  # glibc loads it when a thread ends
    "libpython3.13-minimal": ("/usr/lib/python3.13/*",),
    "libpython3.13-stdlib": ("/usr/lib/python3.13/*",),
    "python3-minimal": ("/usr/bin/python3",),
    "python3.13-minimal": ("/usr/bin/python3.13",),
    "tzdata": ("/usr/share/zoneinfo/Etc/UTC", "/usr/share/zoneinfo/UTC"),
}
GENERATED = ("/etc/ssl/certs/ca-certificates.crt",)

# of Python's library: what nobody imports in a mail server (SQLite is apsw's own)
_MODULES = """test idlelib tkinter turtledemo ensurepip venv lib2to3 pydoc_data curses dbm sqlite3 _pyrepl config-3.13-*
              turtle.py antigravity.py this.py __phello__"""
_EXTENSIONS = "_curses* _dbm* _gdbm* _sqlite3* _tkinter* _test* _ctypes_test* _xx* xx* readline* nis*"
DROP = (
    *(f"/usr/lib/python3.13/{name}" for name in _MODULES.split()),
    *(f"/usr/lib/python3.13/lib-dynload/{name}" for name in _EXTENSIONS.split()),
    *("*/__pycache__", "*/tests", "*/apsw/sqlite_extra_binaries", "*.pyi", "*.pyx", "*.pxd", "*.c", "*.h"),
    *("*.dist-info/RECORD", "*.dist-info/direct_url.json"),  # they tell of files before stripping, and of the build
)

PYTHON_PACKAGES = "/usr/local/lib/python3.13/dist-packages"  # where Debian's Python looks for what dpkg doesn't own
STATE, OWNER = "/var/lib/paperpath", 10025
TEXT = {
    "/etc/passwd": f"root:x:0:0:root:/:/bin/sh\npaperpath:x:{OWNER}:0:Paperpath:/var/lib/paperpath:/bin/sh\n",
    "/etc/group": "root:x:0:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
LINKS = {
    "/bin": "usr/bin",
    "/lib": "usr/lib",
    "/lib64": "usr/lib64",
    "/usr/bin/sh": "dash",
    # where mail programs and scripts look for sendmail and for qmail's commands
    "/usr/sbin/sendmail": "../bin/sendmail",
    "/usr/lib/sendmail": "../bin/sendmail",
    "/var/qmail/bin": "/usr/bin",
    "/var/qmail/control": f"{STATE}/control",
    "/var/qmail/users": f"{STATE}/users",
    "/var/lib/qmail": "../qmail",  # Debian's fastforward was compiled for it
}
FOLDERS = ("/dev", "/etc/paperpath", "/proc", "/run", "/sys", "/tmp", "/usr/lib64", STATE)  # noqa: S108  # mount points


def dropped(path: str) -> bool:
    """Whether a path, or a folder above it, is in DROP."""
    return any(
        fnmatch.fnmatchcase(str(part), pattern) for part in (Path(path), *Path(path).parents) for pattern in DROP
    )


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Root:
    """The folder that becomes the image."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.given: dict[str, set[str]] = defaultdict(set)  # Debian package -> paths of its files here

    def at(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def copy(self, path: str, package: str) -> None:
        """Take one file or link as it is."""
        target = self.at(path)
        if os.path.isdir(path) and not os.path.islink(path):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(target):
            shutil.copy2(path, target, follow_symlinks=False)
        self.given[package].add(path)

    def copy_tree(self, source: Path, path: str) -> None:
        """Take what pip installed."""

        def ignore(folder: str, names: list[str]) -> set[str]:
            return {name for name in names if dropped(f"{folder}/{name}")}

        shutil.copytree(source, self.at(path), ignore=ignore, dirs_exist_ok=True)

    def elves(self) -> list[Path]:
        """All programs and shared libraries."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink())
        return [path for path in files if path.open("rb").read(4) == b"\x7fELF"]


def take_debian(root: Root) -> None:
    """The files of the table."""
    for package, patterns in KEEP.items():
        for path in output("dpkg-query", "--listfiles", package).split("\n"):
            kept = any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
            if kept and os.path.lexists(path) and not dropped(path):
                root.copy(path, package)
    for path in GENERATED:
        root.copy(path, "ca-certificates")


def libraries(root: Root) -> set[str]:
    """Shared libraries that what is here needs, the dynamic loader included."""
    found: set[str] = set()
    for elf in root.elves():
        said = subprocess.run(["ldd", str(elf)], check=False, capture_output=True, text=True).stdout
        if "not found" in said:
            raise SystemExit(f"{elf}: {said}")
        words = (word for line in said.split("\n") for word in line.split() if word.startswith("/"))
        found.update(word for word in words if not word.startswith(str(root.folder)))
    return found


def take_libraries(root: Root) -> None:
    """Each library under the name it is asked for, and the file behind the name."""
    for path in sorted(libraries(root)):
        name = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        package = output("dpkg-query", "--search", name).split(":")[0]
        root.copy(name, package)
        root.copy(os.path.realpath(name), package)


def tell_packages(root: Root) -> None:
    """Copyright and package data of every package that gave a file."""
    status = root.at("/var/lib/dpkg/status.d")
    status.mkdir(parents=True)
    for package, paths in sorted(root.given.items()):
        (status / package).write_text(output("dpkg-query", "--status", package))
        kept = sorted(path for path in paths if not os.path.islink(path))
        (status / f"{package}.md5sums").write_text("".join(output("md5sum", path) for path in kept))
        document = root.at(f"/usr/share/doc/{package}/copyright")
        document.parent.mkdir(parents=True)
        shutil.copy(f"/usr/share/doc/{package}/copyright", document)  # some are links into another package's


def finish(root: Root) -> None:
    """Compile, set modes and times."""
    for elf in root.elves():
        if str(elf).startswith(str(root.at(PYTHON_PACKAGES))):  # Debian's own are stripped
            subprocess.run(["strip", "--strip-unneeded", elf], check=True)
    compiled = compileall.compile_dir(
        root.folder,
        quiet=1,
        maxlevels=50,
        stripdir=str(root.folder),
        prependdir="/",
        # nobody changes the sources of a read-only image: no stat, no hash, and the same bytes each build
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        raise SystemExit("compileall failed")
    when = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    for path in sorted(root.folder.rglob("*"), reverse=True):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & 0o111
            path.chmod(0o755 if runs else 0o644)
        os.utime(path, (when, when), follow_symlinks=False)
    os.chown(root.at(STATE), OWNER, 0)  # any other uid has the same rights by group 0; root drops to the owner
    root.at(STATE).chmod(0o770)


def tell_bill(root: Root, wheels: Path, debian: Path) -> None:
    """The bill of materials."""
    path = root.at(sbom.PLACE)
    path.parent.mkdir(parents=True)
    path.write_text(sbom.bill(root.folder, wheels, debian.read_text()))


def main(packages: Path, application: Path, wheels: Path, debian: Path, folder: Path) -> None:
    root = Root(folder)
    for path in FOLDERS:
        root.at(path).mkdir(parents=True)
    for path, target in LINKS.items():
        root.at(path).parent.mkdir(parents=True, exist_ok=True)
        root.at(path).symlink_to(target)
    for path, text in TEXT.items():
        root.at(path).write_text(text)
    take_debian(root)
    root.copy_tree(packages, PYTHON_PACKAGES)
    root.copy_tree(application / "bin", "/usr/bin")
    shutil.rmtree(application / "bin")
    root.copy_tree(application, PYTHON_PACKAGES)
    take_libraries(root)
    tell_packages(root)
    tell_bill(root, wheels, debian)
    finish(root)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:6]))
