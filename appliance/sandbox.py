"""Each program locks itself in at start, so that a hole in it opens nothing else.

Landlock (the kernel's documentation: userspace-api/landlock) takes away, for this process and all
its children, every file, TCP port, foreign process and abstract socket that `Rules` does not name;
nothing can be given back.  A rule holds the inode it was made for: name the folder that holds all
generations, never the link that is swapped.  Reading a link needs no right.

It binds only the calling thread, so lock before any thread starts.  What Landlock has no rule for (forking, UDP,
modes and owners of files, other processes' limits) a system call filter refuses: `calls.py`.
"""

import ctypes
import errno
import os
import stat
import struct
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from appliance import calls
from appliance.calls import Calls

# the same numbers on x86_64 and aarch64
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1  # flag of create_ruleset: tell the ABI version
_PATH_BENEATH, _NET_PORT = 1, 2
_NO_NEW_PRIVS, _DUMPABLE = 38, 4  # prctl
_CAPABILITIES, _OVER_MODES = 0x20080522, 1 << 1  # version 3 of capset(2); CAP_DAC_OVERRIDE

# rights over files, by the bit the kernel gives them
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REG, _MAKE_SOCK, _MAKE_SYM = 1 << 7, 1 << 8, 1 << 9, 1 << 12
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_BIND, _CONNECT = 1, 2
_SCOPE = 3  # no abstract socket and no signal to a process outside

_READ = _READ_FILE | _READ_DIR
_CHANGE = _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SOCK | _MAKE_SYM | _REFER
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV  # the rest are a folder's

# what Python, the resolver and TLS read while they work
_SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"),
    *("/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/services", "/etc/gai.conf"),
    *("/etc/ssl", "/etc/pki", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"),
    *("/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo", "/dev/urandom"),
)

_LEAST = 2  # version 1 forbids every rename between folders, and a Maildir lives by them
_NO_LANDLOCK = (
    "this kernel has no Landlock (Linux 5.19 or later): the program can reach every file and port of its user"
)
_LACKING = (
    (3, "this kernel can't refuse truncating a file (Linux 6.2 or later)"),
    (4, "this kernel can't refuse TCP ports (Linux 6.7 or later): the program can listen and connect everywhere"),
    (5, "this kernel can't refuse commands to devices (Linux 6.10 or later)"),
    (6, "this kernel can't keep signals and abstract sockets inside (Linux 6.12 or later)"),
)

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Rules:
    """What a program may still do; all else is refused.

    read     files and folders: read and list, everything below
    write    folders: read, list, create, write, rename and remove below; devices: read and write
    execute  files and folders: read, list and start programs below
    bind     TCP ports to listen on
    connect  TCP ports to connect to; None: all
    calls    system calls; None: all (for tests of the rest)
    """

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    execute: tuple[Path, ...] = ()
    bind: tuple[int, ...] = ()
    connect: tuple[int, ...] | None = ()
    calls: Calls | None = None


def lock(rules: Rules, abi: int | None = None) -> list[str]:
    """Apply the rules for good; return what the kernel can't enforce, a sentence each.

    abi: pretend that the kernel's Landlock knows no more than this version (for tests).
    Raises OSError if a path of the rules can't be opened or the kernel refuses a rule.
    """
    keep_to_oneself()
    _keep_no_capability()
    known = kernel_abi() if abi is None else min(abi, kernel_abi())
    lacking = missing(known)
    if _threads() > 1:
        lacking.append("threads that started before the sandbox was locked are outside it")
    if known >= _LEAST:
        _restrict(rules, known)
    if rules.calls is not None:
        lacking += calls.confine(rules.calls)
    return lacking


def keep_to_oneself() -> None:
    """Nothing that is started gets more rights, and no process of this user looks into this one (proc(5)). Raises OSError."""
    for option, value in ((_NO_NEW_PRIVS, 1), (_DUMPABLE, 0)):
        _check(_libc.prctl(*map(ctypes.c_long, (option, value, 0, 0, 0))), "prctl")


def _keep_no_capability() -> None:
    """Who must run as root (owner.py says when) may still use files of other users, and is root in nothing else."""
    if os.geteuid() == 0:
        header = struct.pack("Ii", _CAPABILITIES, 0)
        permitted = struct.pack("6I", *(0,) * 6)
        _check(_libc.capget(header, permitted), "capget")
        kept = struct.unpack("6I", permitted)[1] & _OVER_MODES
        _check(_libc.capset(header, struct.pack("6I", kept, kept, 0, 0, 0, 0)), "capset")


def _restrict(rules: Rules, known: int) -> None:
    handled = (1 << 13) - 1 | _REFER
    if known >= 3:
        handled |= _TRUNCATE
    if known >= 5:
        handled |= _IOCTL_DEV
    net = 0 if known < 4 else _BIND if rules.connect is None else _BIND | _CONNECT
    attributes = struct.pack("QQQ", handled, net, _SCOPE)[: 8 if known < 4 else 16 if known < 6 else 24]
    ruleset = _check(_call(_CREATE_RULESET, attributes, len(attributes), 0), "landlock")
    try:
        _allow_files(ruleset, rules, handled)
        if net:
            for right, ports in ((_BIND, rules.bind), (_CONNECT, rules.connect or ())):
                for port in ports:
                    rule = struct.pack("QQ", right, port)
                    _check(_call(_ADD_RULE, ruleset, _NET_PORT, rule, 0), f"port {port}")
        _check(_call(_RESTRICT_SELF, ruleset, 0), "landlock")
    finally:
        os.close(ruleset)


def missing(abi: int) -> list[str]:
    """What a kernel with this Landlock version can't enforce, a sentence each."""
    if abi < _LEAST:
        return [_NO_LANDLOCK]
    return [sentence for needed, sentence in _LACKING if abi < needed]


def kernel_abi() -> int:
    """The kernel's Landlock version; 0 without Landlock (not built, switched off, or forbidden by a container)."""
    return max(_call(_CREATE_RULESET, None, 0, _VERSION), 0)


def _allow_files(ruleset: int, rules: Rules, handled: int) -> None:
    for path in everybody_reads():
        _allow(ruleset, path, _READ & handled, needed=False)
    _allow(ruleset, "/dev/null", (_READ | _WRITE_FILE) & handled, needed=False)
    for right, paths in ((_READ, rules.read), (_READ | _CHANGE, rules.write), (_READ | _EXECUTE, rules.execute)):
        for chosen in paths:
            _allow(ruleset, chosen, right & handled, needed=True)


def everybody_reads() -> list[str]:
    """Library folders and system files, whatever the rules; a missing one is none."""
    paths = sysconfig.get_paths()
    own = os.path.dirname(os.path.abspath(__file__))
    prefixes = [prefix for prefix in (sys.prefix, sys.base_prefix) if prefix != "/"]
    named = [os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ]
    libraries = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return list(dict.fromkeys([own, *prefixes, *libraries, *named, *_SYSTEM]))


def _allow(ruleset: int, path: str | Path, rights: int, *, needed: bool) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        if needed:
            raise
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _OF_A_FILE
        rule = struct.pack("=Qi", rights, fd)
        _check(_call(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0), str(path))
    finally:
        os.close(fd)


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:  # /proc is not there: nothing can be said
        return 1


def _call(number: int, *arguments: int | bytes | None) -> int:
    """A system call; its numbers are whole registers, and C would pass an int as half of one."""
    whole = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    return int(_libc.syscall(ctypes.c_long(number), *whole))


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno() or errno.EINVAL
        raise OSError(number, os.strerror(number), what)
    return result
