"""What a program of a dot-qmail file finds, may do, and may not; each tried by a real program."""

import contextlib
import os
import platform
import signal
import socket
from pathlib import Path

import pytest
from launcher_parts import LIMITS, MESSAGE, Launcher, make_state, memory, running, wait_until

from appliance import door, launch, netstring, sandbox
from appliance.launch import Outcome

whole = pytest.mark.skipif(sandbox.kernel_abi() < 6, reason="this kernel's Landlock does not have all rules")


@pytest.mark.parametrize(
    ("command", "outcome"),
    [
        ("exit 0", Outcome(b"E", b"0", b"")),
        ("exit 99", Outcome(b"E", b"99", b"")),
        ("echo no; echo and no >&2; exit 100", Outcome(b"E", b"100", b"no\nand no\n")),
        ("kill -TERM $$", Outcome(b"S", b"15", b"")),
        ("exec 2>&-; /no/such/program", Outcome(b"E", b"127", b"")),
        ("yes | head -c 1000000", Outcome(b"E", b"0", b"y\n" * 5000)),
        ("yes | head -1; trap", Outcome(b"E", b"0", b"y\n")),
    ],
)
def test_a_program_s_end_and_output_are_told(launcher: Launcher, command: str, outcome: Outcome) -> None:
    """The status or the signal, and the first 10,000 bytes of what it wrote, stdout and stderr together."""
    assert launcher.run(command) == outcome


@pytest.mark.parametrize("message", [MESSAGE, b"x" * 5_000_000], ids=["small", "large"])
def test_stdin_is_the_message_from_its_beginning_and_can_be_rewound(launcher: Launcher, message: bytes) -> None:
    """A program may read it twice, as qmail's may."""
    command = "cat | wc -c; exec python3 -c 'import os; print(os.lseek(0, 0, 1), os.lseek(0, 0, 0))'"
    size = len(message)
    assert launcher.run(command, message=message).output == b"%d\n%d 0\n" % (size, size)


def test_a_program_runs_in_its_home_with_nothing_open_and_files_for_its_owner_only(launcher: Launcher) -> None:
    """The working folder is HOME, the umask 077, SIGPIPE is not ignored, there is no terminal and no other descriptor."""
    code = """if True:
        import os
        def is_open(number):
            try: os.fstat(number)
            except OSError: return False
            return True
        open("f", "w")
        print(os.getcwd(), oct(os.stat("f").st_mode & 0o777), os.getsid(0) == os.getppid(), [*filter(is_open, range(3, 1024))])
    """
    (launcher.home() / "look.py").write_text(code)
    output = launcher.run("python3 look.py; yes | head -1 >/dev/null; echo ok").output.decode()
    assert output == f"{launcher.home()} 0o600 True []\nok\n"


def test_the_environment_is_what_was_given_and_how_to_find_commands(launcher: Launcher) -> None:
    """Nothing of the supervisor's own environment gets to a program."""
    os.environ.pop("SECRET_OF_THE_TEST", None)
    names = {line.split(b"=")[0] for line in launcher.run("env", SENDER="a@b", EXT="").output.split(b"\n") if line}
    assert names - {b"LANG", b"TZ", b"LC_ALL", b"_", b"OLDPWD"} == {
        *(b"SENDER", b"EXT", b"USER", b"PATH", b"TMPDIR", b"PAPERPATH_STATE", b"PWD"),
    }


@whole
@pytest.mark.parametrize(
    ("command", "answer", "reason"),
    [
        ("echo x >file && mkdir d && mv file d/ && cat d/file", b"x", "its home is its own"),
        ("cp /bin/true t && ./t && echo ran", b"ran", "a script of its own is run"),
        ('t=$(mktemp) && echo x >"$t" && cat "$t"', b"x", "TMPDIR is a place for what nobody keeps"),
        ('cat "$PAPERPATH_STATE/generations/active/control/me"', b"mx.example.org", "qmail-inject reads control files"),
        ('wc -c <"$PAPERPATH_STATE/run/tokens/inject"', b"64", "and the token of the intake door"),
        ("cat /etc/passwd >/dev/null && echo x", b"x", "who is who"),
        ("ls .. ", None, "the mailboxes beside it"),
        ("cat ../bob/secret", None, "another's mail"),
        ("echo x >../bob/new", None, "nor writes there"),
        ('cat "$PAPERPATH_STATE/run/tokens/local"', None, "no other token"),
        ('ls "$PAPERPATH_STATE/queue"', None, "the queue"),
        ('ls "$PAPERPATH_STATE/generations/active/"', None, "other users' instructions"),
        ("ls /etc", None, "the rest of /etc"),
        ("ls /proc", None, "who else runs"),
        ("echo x >/tmp/paperpath-program-test", None, "the system's folder for temporary files"),
        ("kill -CONT $PPID", None, "the minder"),
    ],
)
def test_a_program_reaches_its_home_and_the_system_only(
    launcher: Launcher, command: str, answer: bytes | None, reason: str
) -> None:
    """The rest of the state folder and of the machine is closed to it."""
    (launcher.home("bob") / "secret").write_text("x")
    outcome = launcher.run(command)
    if answer is None:
        assert outcome.letter == b"E"
        assert outcome.detail != b"0", reason
        assert b"denied" in outcome.output or b"not permitted" in outcome.output, outcome
    else:
        assert outcome == (b"E", b"0", answer + b"\n"), reason


@pytest.mark.skipif(platform.machine() not in {"x86_64", "aarch64"}, reason="no filter for this machine")
@pytest.mark.parametrize(
    "command",
    ["chmod 777 f", "cp -p f g", "cp -a f g", "sed -i s/x/y/ f", "gzip f", "install -m 755 f g",
     "tar cf t f && rm f && tar xf t", "touch -d yesterday f g", "python3 -c 'import shutil; shutil.copy2(\"f\", \"g\")'"],
)  # fmt: skip
def test_tools_that_set_modes_and_owners_go_on_and_set_none(launcher: Launcher, command: str) -> None:
    """They hear that it was done, and nothing was."""
    assert launcher.run(f"echo x >f && {command} && find . -perm /111 -type f") == (b"E", b"0", b""), command


NETWORK = """
import socket, sys
def attempt(what):
    try: what(); return "done"
    except PermissionError: return "refused"
    except OSError as error: return type(error).__name__
port = int(sys.argv[1])
def listen(): socket.socket().listen()
def udp(): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port))
def bind(): socket.socket().bind(("127.0.0.1", 0))
def connect(): socket.create_connection(("127.0.0.1", port)).close()
def pair(): socket.socketpair()
def abstract(): s = socket.socket(socket.AF_UNIX); s.connect(b"\\0paperpath-%d" % port)
print(*map(attempt, (listen, udp, bind, connect, pair, abstract)))
"""


@whole
@pytest.mark.skipif(platform.machine() not in {"x86_64", "aarch64"}, reason="no filter for this machine")
@pytest.mark.parametrize(
    ("homes", "answers"),
    [
        (None, "refused refused refused refused done refused"),
        (b"mail/example.org/bob\n", "refused refused refused refused done refused"),
        (b"mail/example.org/alice\n", "refused done refused done done refused"),
    ],
)
def test_only_a_mailbox_that_may_use_the_network_connects_and_none_listens(
    tmp_path: Path, homes: bytes | None, answers: str
) -> None:
    """No TCP, no UDP without programs.network; a port is never listened on, nor is an abstract socket reached."""
    launcher = Launcher(make_state(tmp_path, network=homes))
    (launcher.home() / "try.py").write_text(NETWORK)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        port = server.getsockname()[1]
        abstract.bind(b"\0paperpath-%d" % port)
        abstract.listen()
        outcome = launcher.run(f"python3 try.py {port}")
    launcher.stop()
    assert outcome.output.decode() == answers + "\n"


@pytest.mark.parametrize(
    ("limits", "command", "letter", "detail"),
    [
        (b"time:1\n", "sleep 4711", b"L", b"it ran longer than 1 s"),
        (b"time:1\n", "while :; do :; done", b"L|S", b"it ran longer than 1 s"),
        (b"time:1\n", "trap '' TERM INT HUP; setsid sleep 4711 & sleep 4711", b"L", b"it ran longer than 1 s"),
        (LIMITS, "f() { f | f & sleep 1; }; f; sleep 20", b"L", b"it started more than 20 processes"),
        (LIMITS, "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22; do sleep 4711 & done; wait", b"L",
         b"it started more than 20 processes"),
        (LIMITS, "head -c 1073741824 /dev/zero >big", b"E|S", None),
        (LIMITS, "cat /dev/zero", b"L", b"it wrote more than 16777216 bytes of output"),
        (LIMITS, "python3 -c 'x = bytearray(1 << 30)'", b"E", None),
        (b"memory:100000000\n", "for i in 1 2 3; do python3 -c 'x = b\"x\" * 60000000; import time; time.sleep(20)' & done; wait",
         b"L", b"it used more than 100000000 bytes of memory"),
    ],
)  # fmt: skip
def test_a_program_that_hangs_forks_or_writes_1_gib_is_ended(
    tmp_path: Path, limits: bytes, command: str, letter: bytes, detail: bytes | None
) -> None:
    """With all that it has started, and the launcher goes on."""
    launcher = Launcher(make_state(tmp_path, limits))
    outcome = launcher.run(command)
    assert outcome.letter in letter.split(b"|")
    if outcome.letter == b"L":
        assert outcome.detail == detail
    else:
        assert outcome.detail != b"0"
    assert not running("sleep\x004711")
    assert launcher.run("echo well") == (b"E", b"0", b"well\n")
    big = launcher.home() / "big"
    assert not big.exists() or big.stat().st_size == 10485760
    wait_until(lambda: not list(launcher.state.scratch.iterdir()))
    assert launcher.stop() == 0


@pytest.mark.parametrize(
    "command",
    [
        "sleep 4712 &",
        "setsid sleep 4712 >/dev/null 2>&1 </dev/null &",
        "(setsid sh -c 'trap \"\" TERM; sleep 4712 & sleep 4712' &) ; exit 99",
    ],
)
def test_what_a_program_leaves_behind_is_killed_with_it(launcher: Launcher, command: str) -> None:
    """A program that makes itself a daemon is no exception."""
    assert launcher.run(command).letter == b"E"
    assert not running("sleep\x004712")


def test_a_program_is_killed_when_local_hangs_up(launcher: Launcher) -> None:
    """So nothing runs for a delivery that the queue gives to somebody else."""
    connection = launcher.begin("setsid sleep 4713 & sleep 4713")
    wait_until(lambda: len(running("sleep\x004713")) == 2)
    connection.close()
    wait_until(lambda: not running("sleep\x004713"))


def test_a_killed_minder_leaves_nothing_running(launcher: Launcher) -> None:
    """The launcher inherits what it has left behind, and kills it."""
    connection = launcher.begin("setsid sleep 4714 & sleep 4714")
    wait_until(lambda: len(running("sleep\x004714")) == 2)
    (minder,) = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    os.kill(int(minder), signal.SIGKILL)
    assert connection.recv(10) == b""
    connection.close()
    wait_until(lambda: not running("sleep\x004714"))
    assert launcher.run("exit 0").letter == b"E"


def test_a_program_goes_on_when_the_launcher_is_restarted(launcher: Launcher) -> None:
    """A change of a mailbox's permission ends no delivery."""
    connection = launcher.begin("sleep 0.5; echo done")
    wait_until(lambda: running("sleep\x000.5"))
    assert launcher.stop() == 0
    assert connection.recv(100) == b"8:E0\0done\n,"
    connection.close()


def test_a_home_elsewhere_is_refused(launcher: Launcher, tmp_path: Path) -> None:
    """Whatever local asks for: a program runs in a home below the folder of mailboxes, links followed."""
    (launcher.home() / "link").symlink_to(tmp_path)
    for home in (
        tmp_path,
        launcher.home() / "link",
        launcher.state.mail,
        launcher.home() / ".." / ".." / ".." / "queue",
    ):
        assert launcher.run("pwd", home).letter == b"Z", home
    assert launcher.run("pwd", launcher.home() / "missing").letter == b"Z"


def test_only_local_is_let_in(launcher: Launcher) -> None:
    """Who has no token, or another role's (that by which `local` enters the queue, too), gets no program started."""
    strangers = [door.hello(role, door.read_token(launcher.state, role)) for role in ("inject", "local", "smtpd")]
    for hello in (door.hello("programs", b"0" * 64), *strangers):
        with launcher.connect() as connection:
            fd = memory(MESSAGE)
            with pytest.raises(ConnectionError), contextlib.closing(connection):
                launch.run(connection, hello, launcher.request("touch was-here"), fd)
            os.close(fd)
    assert not (launcher.home() / "was-here").exists()


@pytest.mark.parametrize("data", [b"", b"x", b"5:hello,", b"99999999:", netstring.encode(b"local x") * 3])
def test_garbage_at_the_door_ends_one_connection_only(launcher: Launcher, data: bytes) -> None:
    """The process that listens reads none of it."""
    with launcher.connect() as connection:
        with contextlib.suppress(OSError):  # it may have ended the connection already
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            assert connection.recv(100) == b""
    assert launcher.run("exit 0").letter == b"E"


def test_thirty_programs_run_at_the_same_time(launcher: Launcher) -> None:
    """Each by itself; a slow one delays no other."""
    slow = launcher.begin("sleep 30")
    connections = [launcher.begin(f"echo {number}") for number in range(30)]
    answers = [connection.recv(100) for connection in connections]
    assert answers == [netstring.encode(b"E0\0%d\n" % number) for number in range(30)]
    for connection in [slow, *connections]:
        connection.close()
