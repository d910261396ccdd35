"""What a locked program may do, and what it may not: each tried by a forked child."""

import errno
import os
import signal
import socket
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import sandbox
from appliance.sandbox import Rules

pytestmark = pytest.mark.skipif(sandbox.kernel_abi() < 6, reason="this kernel's Landlock does not have all rules")

REFUSED = {errno.EACCES: "refused", errno.EPERM: "refused", errno.EXDEV: "refused"}


def locked(rules: Rules, *attempts: Callable[[], object], abi: int | None = None) -> list[str]:
    """What becomes of each attempt in a child locked by these rules: done, refused, or another error."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            lacking = sandbox.lock(rules, abi)
            answers = lacking if abi is not None else [attempt_it(attempt) for attempt in attempts]
            os.write(write, "\n".join(answers).encode())
        except BaseException:  # noqa: BLE001  # told to the parent
            os.write(write, traceback.format_exc().encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    return text.split("\n")


def attempt_it(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return REFUSED.get(error.errno or 0, repr(error))
    return "done"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Three folders with a file each: to read, to write, and closed."""
    made = tuple(tmp_path / name for name in ("read", "write", "closed"))
    for folder in made:
        folder.mkdir()
        (folder / "file").write_text("x")
    return made


def test_a_program_reads_only_what_its_rules_name(folders) -> None:
    """Reading and listing work in its folders, and nowhere else; writing does not."""
    read, _, closed = folders
    assert (
        locked(
            Rules(read=(read,)),
            (read / "file").read_text,
            lambda: os.listdir(read),
            (closed / "file").read_text,
            lambda: os.listdir(closed),
            lambda: (read / "file").open("w"),
            lambda: (read / "new").open("w"),
            lambda: os.truncate(read / "file", 0),
            lambda: os.unlink(read / "file"),
            lambda: os.mkdir(read / "new"),
        )
        == ["done"] * 2 + ["refused"] * 7
    )


def test_a_program_writes_only_below_its_folders(folders) -> None:
    """A Maildir's way of writing (create, sync, rename to another folder, remove) works there and only there."""
    read, write, closed = folders
    (write / "tmp").mkdir()
    (write / "new").mkdir()
    assert (
        locked(
            Rules(read=(read,), write=(write,)),
            lambda: (write / "tmp" / "mail").write_text("x"),
            lambda: os.rename(write / "tmp" / "mail", write / "new" / "mail"),
            (write / "new" / "mail").read_text,
            lambda: os.unlink(write / "new" / "mail"),
            lambda: os.mkdir(write / "cur"),
            lambda: (closed / "file").write_text("x"),
            lambda: os.rename(write / "file", closed / "mail"),
            lambda: os.link(closed / "file", write / "taken"),
        )
        == ["done"] * 5 + ["refused"] * 3
    )


def test_a_link_can_be_read_without_any_right(folders) -> None:
    """The state folder's link to the active generation stays readable when nothing else there is."""
    read, _, closed = folders
    (closed / "generation").symlink_to("file")
    assert locked(
        Rules(read=(read,)), lambda: os.readlink(closed / "generation"), (closed / "generation").read_text
    ) == ["done", "refused"]


def test_a_link_leads_only_where_the_rules_do(folders) -> None:
    """Swapping the link to the generation can't lead a program out of the folder of all generations."""
    read, _, closed = folders
    (closed / "inside").symlink_to(read / "file")
    (read / "outside").symlink_to(closed / "file")
    assert locked(Rules(read=(read,)), (closed / "inside").read_text, (read / "outside").read_text) == [
        "done",
        "refused",
    ]


def test_only_named_ports_are_bound_and_connected() -> None:
    """A program listens on its own ports and connects to its own, and to no other."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port, free = server.getsockname()[1], holder.getsockname()[1]
        holder.close()

        def bind(number: int) -> None:
            with socket.socket() as new:
                new.bind(("127.0.0.1", number))

        def connect(number: int) -> None:
            socket.create_connection(("127.0.0.1", number), 5).close()

        assert locked(
            Rules(bind=(free,), connect=(port,)),
            lambda: bind(free),
            lambda: connect(port),
            lambda: bind(0),
            lambda: connect(free),
        ) == ["done", "done", "refused", "refused"]
        assert locked(Rules(), lambda: connect(port), lambda: bind(free)) == ["refused", "refused"]


def test_a_locked_program_starts_no_other() -> None:
    """No program of ours runs another one: exec is refused even for /bin/true."""
    assert locked(Rules(), lambda: os.execv("/bin/true", ["true"])) == ["refused"]


def test_signals_and_abstract_sockets_stay_inside() -> None:
    """A broken program can't stop its neighbours, nor talk to services on abstract sockets."""
    with socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as client:
        abstract.bind(b"\0paperpath-test-%d" % os.getpid())
        abstract.listen()
        assert locked(
            Rules(),
            lambda: os.kill(os.getppid(), signal.SIGCONT),
            lambda: client.connect(abstract.getsockname()),
        ) == ["refused", "refused"]


@pytest.mark.parametrize(("locked_in", "seen"), [(False, True), (True, False)])
def test_nobody_of_the_same_user_looks_into_a_locked_program(locked_in: bool, seen: bool) -> None:
    """Without its lock, somebody could: not the sandbox of who looks, but that of who is looked at, decides."""

    def child(work: Callable[[], int]) -> int:
        if (pid := os.fork()) == 0:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
                sandbox._libc.prctl(sandbox._DUMPABLE, 1, 0, 0, 0)  # which a change of user takes away
            os._exit(work())
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def look(pid: int) -> int:
        try:
            open(f"/proc/{pid}/environ", "rb").close()
        except PermissionError:
            return 1
        return 0

    def looked_at() -> int:
        if locked_in:
            sandbox.keep_to_oneself()
        victim = os.getpid()
        if (pid := os.fork()) == 0:
            sandbox._libc.prctl(sandbox._DUMPABLE, 1, 0, 0, 0)
            os._exit(look(victim))
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert (child(looked_at) == 0) == seen


def test_python_goes_on_working() -> None:
    """Modules not imported yet, the resolver's files and random numbers are there."""

    def use_python() -> None:
        import plistlib
        import zoneinfo

        assert plistlib
        assert zoneinfo
        Path("/etc/hosts").read_text()
        Path("/dev/urandom").open("rb").close()
        Path("/dev/null").write_text("x")
        os.urandom(8)

    assert locked(Rules(), use_python) == ["done"]


def test_a_rule_for_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """A program whose own folder is missing must not run half locked."""
    with pytest.raises(FileNotFoundError):
        sandbox._allow(0, tmp_path / "missing", 0, needed=True)


@pytest.mark.parametrize(
    ("abi", "lacking"),
    [(0, 1), (1, 1), (2, 4), (3, 3), (4, 2), (5, 1), (6, 0)],
)
def test_what_an_older_kernel_lacks_is_said(abi: int, lacking: int) -> None:
    """Each missing piece of Landlock is one sentence for the log."""
    sentences = locked(Rules(), abi=abi)
    assert len([sentence for sentence in sentences if sentence]) == lacking
    assert all(sentence.startswith("this kernel") for sentence in sentences if sentence)


def test_an_older_kernel_enforces_what_it_can(folders) -> None:
    """Without TCP rules the file rules still hold."""
    _, _, closed = folders
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        sandbox.lock(Rules(), abi=3)
        os.write(write, attempt_it((closed / "file").read_text).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    with os.fdopen(read) as answer:
        assert answer.read() == "refused"
