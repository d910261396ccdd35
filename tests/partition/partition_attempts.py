"""What somebody could try who has taken over a program: one function a right, tried from inside.

`done` if it worked (what has worked is undone), `refused` if the sandbox said no; else what happened.  Standard
library only, for a mailbox's program tries it, too.
"""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import platform
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

REFUSALS = {errno.EACCES, errno.EPERM, errno.ENOSYS, errno.EROFS}
_COLUMN = {"x86_64": 0, "aarch64": 1}[platform.machine()]
# system calls that Python has no function for: their numbers on x86_64 and aarch64
NUMBERS = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "kcmp": (312, 272),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "bpf": (321, 280),
    "io_uring_setup": (425, 425),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "perf_event_open": (298, 241),
    "init_module": (175, 105),
    "personality": (135, 92),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "getpid": (39, 172),
}
_SEIZE, _NEWUSER = 0x4206, 0x10000000
_MPTCP, _FASTOPEN, _TIOCSTI = 262, 0x20000000, 0x5412
_libc = ctypes.CDLL(None, use_errno=True)


class Here:
    """Where things are: folders as strings, ports, the process of another program, the hello of this one."""

    def __init__(self, **known: object) -> None:
        self.state = Path(str(known["state"]))
        self.elsewhere = Path(str(known["elsewhere"]))  # a folder of the same user that is nobody's business
        self.yaml = Path(str(known["yaml"]))
        self.victim = int(str(known["victim"]))  # pid
        self.port = int(str(known["port"]))  # somebody listens there
        self.abstract = str(known["abstract"]).encode()
        self.hello = str(known["hello"]).encode()  # role and token; empty: it has none
        self.to_launcher = str(known["to_launcher"]).encode()  # the same, for its door
        self.own = Path(str(known["own"]))  # a file that belongs to this program's user, where it has no business
        self.doors = str(known["doors"]).split()  # of other programs


def call(name: str, *arguments: int | bytes | None) -> int:
    """A system call by its name. Raises OSError."""
    whole = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = _libc.syscall(ctypes.c_long(NUMBERS[name][_COLUMN]), *whole)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return int(result)


def create(folder: Path) -> None:
    new = folder / f"new-{os.getpid()}"
    new.write_bytes(b"x")
    new.unlink()


def write(file: Path) -> None:
    with file.open("r+b"):
        pass


def tcp(port: int, *, protocol: int = 0) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol) as client:
        client.settimeout(5)
        try:
            client.connect(("127.0.0.1", port))
        except ConnectionRefusedError:  # nobody is there, but it was asked
            return


def fast_open(here: Here) -> None:
    with socket.socket() as client:
        try:
            client.sendto(b"x", _FASTOPEN, ("127.0.0.1", here.port))
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:  # this machine's kernel has that switched off
                raise PermissionError(errno.EPERM, "off") from error
            raise


def listen() -> None:
    with socket.socket() as server:
        server.listen()


def bind() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))


def any_socket(family: int, kind: int, protocol: int = 0) -> Callable[[], None]:
    return lambda: socket.socket(family, kind, protocol).close()


def abstract(here: Here) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(b"\0" + here.abstract)


def come_to(client: socket.socket, here: Here, door: str) -> None:
    """Connect, as soon as the door is there: the programs start at the same time."""
    until = time.monotonic() + 20
    while True:
        try:
            client.connect(str(here.state / "run" / f"{door}.sock"))
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def enter(here: Here, door: str) -> None:
    """With the hello of this program; who hangs up has refused."""
    asks = {"intake": b"1:S,", "admin": b'14:{"do": "ping"},', "lease": b""}[door]
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20 if asks else 3)
        come_to(client, here, door)
        client.sendall(b"%d:%b," % (len(here.hello), here.hello) + asks)
        try:
            answered = client.recv(1)
        except TimeoutError:
            answered = b"it waits for us"
        if not answered:
            raise PermissionError(errno.EACCES, "shown out")


def have_started(here: Here) -> None:
    """By the launcher's door: a program in a mailbox's home."""
    home = os.fsencode(here.state / "mail" / "example.org" / "alice")
    request = home + b"\0exit 0\0USER=alice\0"
    frames = b"%d:%b,%d:%b," % (len(here.to_launcher), here.to_launcher, len(request), request)
    nothing = os.open(os.devnull, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        come_to(client, here, "launch")
        try:
            socket.send_fds(client, [frames], [nothing])
            answer = client.recv(100)
        except ConnectionError:
            answer = b""
    os.close(nothing)
    if not answer:
        raise PermissionError(errno.EACCES, "shown out")


def fork() -> None:
    if (pid := os.fork()) == 0:
        os._exit(0)
    with contextlib.suppress(OSError):  # who may not wait has forked all the same
        os.waitpid(pid, 0)


def changed(file: Path, what: Callable[[], object]) -> None:
    """Done only if the kernel has noted a change."""
    time.sleep(0.02)  # its clock's tick
    before = file.stat().st_ctime_ns
    what()
    if file.stat().st_ctime_ns == before:
        raise PermissionError(errno.EPERM, "nothing happened")


def apart(what: Callable[[], object]) -> None:
    """In a child, if there can be one: it can't be undone."""
    try:
        pid = os.fork()
    except OSError:
        what()
        return
    if pid == 0:
        try:
            what()
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    if number := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise OSError(number, os.strerror(number))


def execute() -> None:
    """Last of all, for a program that could would be another one now, and tell nothing."""
    program = os.path.realpath(sys.executable)
    try:
        pid = os.fork()
    except OSError:
        os.execv(program, [program, "-c", ""])
    if pid == 0:
        try:
            os.execv(program, [program, "-c", ""])
        except OSError:
            os._exit(77)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 77:
        raise PermissionError(errno.EACCES, program)


def set_owner_of_signals(here: Here) -> None:
    read, write_ = os.pipe()
    try:
        fcntl.fcntl(read, fcntl.F_SETOWN, here.victim)
    finally:
        os.close(read)
        os.close(write_)


def terminal() -> None:
    fcntl.ioctl(1, _TIOCSTI, b"x")


def executable_memory() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def read_into(here: Here) -> None:
    room = ctypes.create_string_buffer(8)
    mine = struct.pack("QQ", ctypes.addressof(room), 8)
    call("process_vm_readv", here.victim, mine, 1, mine, 1, 0)


RIGHTS: dict[str, Callable[[Here], list[Callable[[], object]]]] = {
    "read the configuration": lambda here: [(here.state / "generations/active/control/me").read_bytes],
    "change the configuration": lambda here: [lambda: create(here.state / "generations")],
    "read the YAML": lambda here: [here.yaml.read_bytes],
    "change the YAML": lambda here: [lambda: create(here.yaml.parent)],
    "read password hashes": lambda here: [lambda: os.listdir(here.state / "secrets")],
    "change password hashes": lambda here: [lambda: create(here.state / "secrets")],
    "read the queue": lambda here: [(here.state / "queue/probe").read_bytes, lambda: os.listdir(here.state / "queue")],
    "change the queue": lambda here: [lambda: create(here.state / "queue"), lambda: write(here.state / "queue/probe")],
    "read mail": lambda here: [(here.state / "mail/probe").read_bytes, lambda: os.listdir(here.state / "mail")],
    "change mail": lambda here: [lambda: create(here.state / "mail"), lambda: write(here.state / "mail/probe")],
    "read a role token": lambda here: [
        *((here.state / "run/tokens" / role).read_bytes for role in ("smtpd", "local", "remote", "admin")),
    ],
    "read the token of inject": lambda here: [(here.state / "run/tokens/inject").read_bytes],
    "change run/": lambda here: [lambda: create(here.state / "run"), lambda: create(here.state / "run/tokens")],
    "read other files": lambda here: [(here.elsewhere / "file").read_bytes, lambda: os.listdir(here.elsewhere)],
    "change other files": lambda here: [lambda: create(here.elsewhere), lambda: write(here.elsewhere / "file")],
    "list processes": lambda here: [lambda: os.listdir("/proc")],
    "enter intake": lambda here: [lambda: enter(here, "intake")],
    "enter lease": lambda here: [lambda: enter(here, "lease")],
    "enter admin": lambda here: [lambda: enter(here, "admin")],
    "enter launch": lambda here: [lambda: have_started(here)],
    "connect to mail hosts": lambda here: [lambda: tcp(25)],
    "connect to other ports": lambda here: [lambda: tcp(here.port)],
    "connect past Landlock": lambda here: [lambda: tcp(here.port, protocol=_MPTCP), lambda: fast_open(here)],
    "listen on another port": lambda here: [bind, listen],
    "send UDP": lambda here: [
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", here.port)),
    ],
    "open other sockets": lambda here: [
        any_socket(socket.AF_UNIX, socket.SOCK_DGRAM),
        any_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        any_socket(socket.AF_PACKET, socket.SOCK_RAW),
        any_socket(socket.AF_NETLINK, socket.SOCK_RAW),
    ],
    "use abstract sockets": lambda here: [lambda: abstract(here)],
    "fork": lambda here: [fork],
    "signal others": lambda here: [
        lambda: os.kill(here.victim, signal.SIGCONT),
        lambda: os.kill(os.getppid(), signal.SIGCONT),  # the supervisor, or a program's minder
        lambda: signal.pidfd_send_signal(os.pidfd_open(here.victim), signal.SIGCONT),
        lambda: set_owner_of_signals(here),
    ],
    "look into others": lambda here: [
        lambda: call("ptrace", _SEIZE, here.victim, 0, 0),
        lambda: call("ptrace", _SEIZE, os.getppid(), 0, 0),
        lambda: read_into(here),
        lambda: call("kcmp", os.getpid(), here.victim, 1, 0, 0),
        Path(f"/proc/{here.victim}/environ").read_bytes,
        Path(f"/proc/{here.victim}/mem").open,
        Path(f"/proc/{os.getppid()}/mem").open,
    ],
    "limit others": lambda here: [
        lambda: resource.prlimit(here.victim, resource.RLIMIT_NOFILE),
        lambda: os.setpriority(os.PRIO_PROCESS, here.victim, 0),
        lambda: os.setpriority(os.PRIO_USER, 0, 0),
        lambda: os.sched_setaffinity(here.victim, os.sched_getaffinity(0)),
    ],
    "change modes and owners": lambda here: [
        lambda: changed(here.own, lambda: os.chmod(here.own, 0o600)),
        lambda: changed(here.own, lambda: os.chown(here.own, os.getuid(), -1)),
        lambda: changed(here.own, lambda: os.utime(here.own)),
        lambda: changed(here.own, lambda: os.setxattr(here.own, "user.paperpath", b"x")),
    ],
    "become another user": lambda here: [
        lambda: apart(lambda: os.setresuid(4711, 4711, 4711)),
        lambda: apart(lambda: os.setgroups([4711])),
    ],
    "mount and enter namespaces": lambda here: [
        lambda: apart(lambda: call("unshare", _NEWUSER)),
        lambda: call("setns", 1, 0),
        lambda: call("mount", b"none", os.fsencode(here.elsewhere), b"no such file system", 0, None),
    ],
    "use rare doors of the kernel": lambda here: [
        lambda: call("bpf", 0, b"", 0),
        lambda: call("io_uring_setup", 1, bytes(120)),
        lambda: call("userfaultfd", 1),
        lambda: call("keyctl", 0, -3, 1),
        lambda: call("perf_event_open", bytes(128), 0, -1, -1, 0),
        lambda: call("init_module", b"", 0, b""),
        lambda: call("personality", 0xFFFFFFFF),
        lambda: _libc.syscall(ctypes.c_long(0x40000000 | NUMBERS["getpid"][_COLUMN])) > 0 or refuse("x32"),
    ],
    "share memory and messages": lambda here: [
        lambda: call("shmget", 0, 4096, 0o1600),
        lambda: call("msgget", 0, 0o1600),
        lambda: call("mq_open", b"paperpath-probe", 0o102, 0o600, None),
    ],
    "type into terminals": lambda here: [terminal],
    "keep files without a name": lambda here: [lambda: os.close(os.memfd_create("probe"))],
    "run code it has written": lambda here: [executable_memory],
    "start programs": lambda here: [execute],
}


def refuse(what: str) -> None:
    raise PermissionError(errno.ENOSYS, what)


def attempt(what: Callable[[], object]) -> str:
    try:
        what()
    except OSError as error:
        return "refused" if error.errno in REFUSALS else f"{type(error).__name__} {error.errno}"
    return "done"


def attempts(here: Here) -> Iterator[tuple[str, str]]:
    """Each right and what became of it: one word if all ways to it end alike, else the word for each way."""
    for right, ways in RIGHTS.items():
        if right.startswith("enter ") and right.removeprefix("enter ") not in here.doors:
            continue
        answers = [attempt(way) for way in ways(here)]
        yield right, answers[0] if len(set(answers)) == 1 else "|".join(answers)
