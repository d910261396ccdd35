"""The filters of system calls, asked by an interpreter of the few instructions they are made of."""

import re
import struct
from pathlib import Path

import pytest

from appliance import call_groups as groups
from appliance import calls
from appliance.call_numbers import AUDIT, NEWEST, NUMBERS

ALLOW, EPERM, ENOSYS, NOTHING = 0x7FFF0000, 0x00050001, 0x00050026, 0x00050000
PID = 4711
OUTSIDE, INSIDE = groups.program(network=False), groups.program(network=True)
UNIX, INTERNET, INTERNET6, NETLINK, PACKET = 1, 2, 10, 16, 17
STREAM, DATAGRAM, RAW, CLOEXEC = 1, 2, 3, 0o2000000
SIGCHLD = 17


def verdict(code: bytes, architecture: int, number: int, arguments: tuple[int, ...]) -> int:
    """What a classic BPF program answers for a system call."""
    data = struct.pack("=iIQ6Q", number, architecture, 0, *arguments, *(0,) * (6 - len(arguments)))
    accumulator, position = 0, 0
    operations = list(struct.iter_unpack("=HBBI", code))
    while True:
        operation, if_true, if_false, value = operations[position]
        position += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif operation == 0x54:
            accumulator &= value
        elif operation == 0x06:
            return value
        else:
            assert operation in {0x15, 0x35}
            holds = accumulator == value if operation == 0x15 else accumulator >= value
            position += if_true if holds else if_false


def ask(chosen: calls.Calls, machine: str, call: str, *arguments: int) -> int:
    """The answer of a program's filter."""
    return verdict(calls.filter_of(chosen, machine, PID), AUDIT[machine], NUMBERS[machine][call], arguments)


TABLE = [
    (groups.RECEIVING, "read", (), ALLOW, "what every program does"),
    (groups.RECEIVING, "socket", (UNIX, STREAM | CLOEXEC, 0), ALLOW, "the way to the queue"),
    (groups.RECEIVING, "socket", (UNIX, DATAGRAM, 0), EPERM, "the way to the system's log"),
    (groups.RECEIVING, "socket", (INTERNET, STREAM, 0), EPERM, "who only listens opens no connection"),
    (groups.RECEIVING, "listen", (3,), EPERM, "a socket without a port gets one by listening"),
    (groups.RECEIVING, "bind", (3,), EPERM, "nor is one bound"),
    (groups.RECEIVING, "clone", (0x3D0F00,), ALLOW, "a thread"),
    (groups.RECEIVING, "clone", (0x1200000 | SIGCHLD,), EPERM, "a fork"),
    (groups.RECEIVING, "clone3", (0,), ENOSYS, "the C library takes clone then, whose flags can be seen"),
    (groups.RECEIVING, "execve", (), EPERM, "a program"),
    (groups.RECEIVING, "mmap", (0, 4096, 3, 0x22), ALLOW, "memory"),
    (groups.RECEIVING, "mmap", (0, 4096, 5, 0x02), ALLOW, "a library"),
    (groups.RECEIVING, "mmap", (0, 4096, 5, 0x22), EPERM, "memory to run what came by mail"),
    (groups.RECEIVING, "mmap", (0, 4096, 7, 0x02), EPERM, "a library that can be written"),
    (groups.RECEIVING, "mprotect", (0, 4096, 5), EPERM, "making it so later"),
    (groups.RECEIVING, "tgkill", (PID, PID, 6), ALLOW, "abort(3)"),
    (groups.RECEIVING, "tgkill", (PID + 1, PID + 1, 6), EPERM, "a neighbour"),
    (groups.RECEIVING, "kill", (PID, 9), EPERM, "kill, whose number may mean a group"),
    (groups.RECEIVING, "prlimit64", (0, 7), ALLOW, "its own limits"),
    (groups.RECEIVING, "prlimit64", (PID + 1, 0), EPERM, "a neighbour's"),
    (groups.RECEIVING, "fcntl", (3, 4, 0x800), ALLOW, "O_NONBLOCK"),
    (groups.RECEIVING, "fcntl", (3, 8, PID + 1), EPERM, "a signal to a neighbour when data comes"),
    (groups.RECEIVING, "ioctl", (3, 0x5421), ALLOW, "FIONBIO"),
    (groups.RECEIVING, "ioctl", (0, 0x5412), EPERM, "TIOCSTI"),
    (groups.RECEIVING, "prctl", (4, 1), EPERM, "becoming readable for neighbours again"),
    (groups.RECEIVING, "fchmodat", (), EPERM, "modes"),
    (groups.RECEIVING, "shmget", (), EPERM, "memory shared with whoever knows its number"),
    (groups.REMOTE, "socket", (INTERNET, STREAM, 6), ALLOW, "SMTP"),
    (groups.REMOTE, "socket", (INTERNET6, DATAGRAM, 0), ALLOW, "DNS"),
    (groups.REMOTE, "socket", (INTERNET, STREAM, 262), EPERM, "MPTCP, which Landlock's ports do not hold for"),
    (groups.REMOTE, "socket", (INTERNET, RAW, 1), EPERM, "raw packets"),
    (groups.REMOTE, "socket", (NETLINK, RAW, 0), EPERM, "the kernel's tables"),
    (groups.REMOTE, "sendto", (3, 0, 1, 0x4000), ALLOW, "MSG_NOSIGNAL"),
    (groups.REMOTE, "sendto", (3, 0, 1, 0x20000000), EPERM, "a connection without connect"),
    (groups.REMOTE, "sendmsg", (3, 0, 0x20000000), EPERM, "the same"),
    (groups.REMOTE, "listen", (3,), EPERM, "a port"),
    (groups.LOCAL, "renameat", (), ALLOW, "into new/"),
    (groups.LOCAL, "socket", (INTERNET, STREAM, 0), EPERM, "it talks to the queue and the launcher"),
    (groups.POP3D, "socket", (UNIX, STREAM, 0), EPERM, "it talks to nobody"),
    (groups.CONFIG, "clone", (0x1200000 | SIGCHLD,), ALLOW, "the child that compiles"),
    (groups.CONFIG, "clone", (0x10000000 | SIGCHLD,), EPERM, "one in a user namespace of its own"),
    (groups.CONFIG, "socket", (UNIX, STREAM, 0), EPERM, "it talks to nobody"),
    (OUTSIDE, "read", (), ALLOW, "a mailbox's program"),
    (OUTSIDE, "execve", (), ALLOW, "starts others"),
    (OUTSIDE, "socket", (UNIX, STREAM, 0), ALLOW, "the way into the queue"),
    (OUTSIDE, "socket", (INTERNET, STREAM, 0), EPERM, "no network"),
    (INSIDE, "socket", (INTERNET, STREAM, 0), ALLOW, "or with it"),
    (INSIDE, "socket", (INTERNET6, DATAGRAM, 17), ALLOW, "DNS"),
    (INSIDE, "socket", (NETLINK, RAW, 0), ALLOW, "by which the resolver asks for addresses"),
    (INSIDE, "socket", (PACKET, RAW, 0), EPERM, "packets"),
    (INSIDE, "socket", (38, 5, 0), EPERM, "the kernel's cryptography"),
    (INSIDE, "listen", (3,), EPERM, "nobody listens"),
    (INSIDE, "io_uring_setup", (), ENOSYS, "io_uring, through which no filter sees"),
    (INSIDE, "ptrace", (), EPERM, "looking into others"),
    (INSIDE, "setpriority", (0, 0, 5), ALLOW, "nice"),
    (INSIDE, "setpriority", (2, 0, 5), EPERM, "of the whole user"),
    (INSIDE, "sched_setaffinity", (PID,), EPERM, "another's processor"),
    (INSIDE, "fchmod", (3, 0), NOTHING, "the mode of a control file that it may read"),
    (INSIDE, "fchownat", (3, 0), NOTHING, "cp -p goes on"),
    (INSIDE, "fsetxattr", (3, 0), NOTHING, "and with its lists of who may"),
    (INSIDE, "utimensat", (3, 0), ALLOW, "touch"),
    (INSIDE, "utimensat", (3, 0x7F0000000000), NOTHING, "the times of a file that it may not open"),
    (groups.launcher(network=False), "fchmodat", (), ALLOW, "it clears up what programs leave"),
]


@pytest.mark.parametrize("machine", AUDIT)
@pytest.mark.parametrize(("chosen", "call", "arguments", "answer", "reason"), TABLE)
def test_a_call(machine: str, chosen: calls.Calls, call: str, arguments: tuple[int, ...], answer: int, reason) -> None:
    """What each program may do is the same on both machines."""
    assert ask(chosen, machine, call, *arguments) == answer, reason


@pytest.mark.parametrize("machine", AUDIT)
@pytest.mark.parametrize("chosen", [groups.REMOTE, INSIDE])
def test_numbers_that_are_nobody_s(machine: str, chosen: calls.Calls) -> None:
    """32-bit calls, x32 calls and calls newer than our tables are as if the kernel had none."""
    code = calls.filter_of(chosen, machine, PID)
    read = NUMBERS[machine]["read"]
    assert verdict(code, AUDIT[machine], read, ()) == ALLOW
    assert verdict(code, 0x40000003, read, ()) == ENOSYS
    assert verdict(code, AUDIT[machine], read | 0x40000000, ()) == ENOSYS
    assert verdict(code, AUDIT[machine], NEWEST + 1, ()) == ENOSYS


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", AUDIT)
def test_the_numbers_are_the_kernel_s(machine: str) -> None:
    """Each number of our table is what the kernel's own header says."""
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not here (Debian package linux-libc-dev)")
    text = HEADERS[machine].read_text()
    theirs = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    theirs.setdefault("newfstatat", theirs.get("fstatat", 0))
    assert {name: number for name, number in NUMBERS[machine].items() if theirs[name] != number} == {}


def test_every_name_is_known() -> None:
    """A misspelt call would be one that nothing is said about."""
    known = {name for numbers in NUMBERS.values() for name in numbers}
    for chosen in (groups.RECEIVING, groups.QUEUE, groups.LOCAL, groups.REMOTE, groups.POP3D, groups.CONFIG, INSIDE):
        assert chosen.listed | set(chosen.checked) <= known
