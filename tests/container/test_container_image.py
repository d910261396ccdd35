"""What the image holds, and what it does not: read from an export of its file system."""

import json
import re
import tarfile
from pathlib import Path

import pytest
from containers import IMAGE, ROOT, podman

pytestmark = pytest.mark.container
SITE = "usr/local/lib/python3.13/dist-packages/"


@pytest.fixture(scope="module")
def files(podman_works: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tarfile.TarInfo]:
    """Every path of the image."""
    container = podman("create", IMAGE).strip()
    try:
        archive = tmp_path_factory.mktemp("image") / "root.tar"
        podman("export", "--output", archive, container)
    finally:
        podman("rm", "--volumes", container)
    with tarfile.open(archive) as tar:
        return {member.name.rstrip("/"): member for member in tar.getmembers()}


@pytest.fixture(scope="module")
def image(podman_works: None) -> dict[str, object]:
    """The image's own settings."""
    settings = json.loads(podman("image", "inspect", IMAGE))[0]
    assert isinstance(settings, dict)
    return settings


def test_the_image_is_below_100_mebibytes(image):
    """A small image is pulled fast, and has little that could be wrong."""
    assert image["Size"] < 100 << 20


def test_the_image_says_how_it_runs(image):
    """A numeric user, the port, the one volume, and a health check that survives the build."""
    config = image["Config"]
    assert config["User"] == "10025:0"
    assert list(config["ExposedPorts"]) == ["2525/tcp"]
    assert list(config["Volumes"]) == ["/var/lib/paperpath"]
    assert config["Entrypoint"] == ["paperpath"]
    assert config["Cmd"] == ["run"]
    assert image["Healthcheck"]["Test"] == ["CMD", "paperpath", "health"]
    assert config["Labels"]["org.opencontainers.image.version"] != "0"


def test_no_file_gives_rights_to_who_runs_it(files):
    """No setuid and no setgid file, no file with capabilities, and no device."""
    assert [name for name, member in files.items() if member.isfile() and member.mode & 0o6000] == []
    assert [name for name, member in files.items() if "SCHILY.xattr.security.capability" in member.pax_headers] == []
    assert [name for name, member in files.items() if member.isdev()] == []


def test_root_owns_everything_and_only_the_state_folder_is_writable_to_others(files):
    """What runs can't change what runs."""
    assert {name for name, member in files.items() if (member.uid, member.gid) != (0, 0)} == {"var/lib/paperpath"}
    assert (files["var/lib/paperpath"].uid, files["var/lib/paperpath"].gid) == (10025, 0)
    writable = {name for name, member in files.items() if not member.issym() and member.mode & 0o022}
    assert writable <= {"var/lib/paperpath", "run", "tmp"}
    assert files["var/lib/paperpath"].mode & 0o777 == 0o770


def test_programs_are_few(files):
    """The image's programs are Python, a shell for delivery programs, and ours."""
    folder = "usr/bin/"
    programs = {name.removeprefix(folder) for name in files if name.startswith(folder)}
    ours = set(re.findall(r'^([\w-]+) = "appliance', (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    assert programs == {"dash", "sh", "python3", "python3.13"} | ours
    assert [name for name in files if name.startswith(("usr/sbin/", "usr/local/bin/"))] == ["usr/sbin/sendmail"]


def test_sendmail_and_qmails_commands_are_where_programs_look_for_them(files):
    """Links, so that mail programs and scripts from elsewhere run unchanged."""
    for path in ("usr/sbin/sendmail", "usr/lib/sendmail"):
        assert files[path].linkname == "../bin/sendmail"
    assert files["var/qmail/bin"].linkname == "/usr/bin"
    assert files["var/qmail/control"].linkname == "/var/lib/paperpath/control"


@pytest.mark.parametrize(
    "name",
    ["pip", "setuptools", "ensurepip", "idlelib", "tkinter", "test", "sqlite3", "gcc", "apt", "busybox", "include"],
)
def test_what_does_not_run_is_not_there(files, name):
    """No installer, no compiler, no headers, no tests, no second SQLite."""
    assert [path for path in files if name in path.split("/")] == []


def test_every_module_of_ours_is_in(files):
    """The image has the whole package, the schema too; a folder without __init__.py would be forgotten."""
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "appliance").rglob("*.py")}
    assert {
        path.removeprefix(SITE) for path in files if path.startswith(SITE + "appliance/") and path.endswith(".py")
    } == modules
    assert SITE + "schema/mail.schema.json" in files


def test_every_module_is_compiled(files):
    """A read-only file system can't take compiled files later, so they are there from the start."""
    for name in files:
        if name.endswith(".py"):
            folder, _, base = name.rpartition("/")
            assert f"{folder}/__pycache__/{base.removesuffix('.py')}.cpython-313.pyc" in files


def test_scanners_find_the_packages(files):
    """Each Debian package that gave a file has its status, file list and copyright; each wheel its metadata."""
    folder = "var/lib/dpkg/status.d/"
    packages = {
        name.removeprefix(folder) for name in files if name.startswith(folder) and not name.endswith(".md5sums")
    }
    assert {"libc6", "libssl3t64", "python3.13-minimal", "ca-certificates", "dash"} <= packages
    for package in packages:
        assert f"{folder}{package}.md5sums" in files
        assert f"usr/share/doc/{package}/copyright" in files
    wheels = {line.split("==")[0] for line in (ROOT / "requirements/run.txt").read_text().splitlines() if "==" in line}
    found = {Path(name).name.split("-")[0] for name in files if name.endswith(".dist-info")}
    assert {wheel.lower().replace("-", "_") for wheel in wheels} <= found


def test_the_image_verifies_passwords_of_every_kind(podman_works: None) -> None:
    """The library for /etc/shadow's hashes and the one for argon2id are there, and a user needs no other tool to make one."""
    crypt = "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"
    code = "import sys; from appliance import password; new = password.make(b'secret')\n"
    code += (
        "print(password.verify(sys.argv[1], b'secret'), password.verify(new, b'secret'), password.verify(new, b'x'))"
    )
    said = podman("run", "--rm", "--network=none", "--read-only", "--entrypoint=python3", IMAGE, "-c", code, crypt)
    assert said.split() == ["True", "True", "False"]
