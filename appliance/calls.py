"""Which system calls a program may make: what Landlock can't refuse, a seccomp filter does.

A filter (the kernel's documentation: userspace-api/seccomp_filter) is a program of classic BPF that sees the
number and the arguments of each call, but nothing that a pointer leads to.  Our own programs have a list of what
they may do, and everything else is refused; what strangers' programs need nobody can list, so those of mailboxes
have a list of what is refused.  A refused call fails with EPERM.  One that is newer than our tables, and those that
the C library has another way for, fail with ENOSYS, so that it takes that way.

For most calls the answer does not depend on the arguments; the kernel (Linux 5.11) then asks the filter once,
not each time.  The others come first in the filter.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from appliance.call_numbers import AUDIT, NEWEST, NUMBERS

_ALLOW = 0x7FFF0000
_FAIL = 0x00050000  # with the error in the low bits
_REFUSE, _LACKING, _NOTHING = _FAIL | errno.EPERM, _FAIL | errno.ENOSYS, _FAIL
_SET_FILTER, _ACTION_AVAILABLE = 1, 2  # operations of seccomp(2)
_TSYNC, _SPEC_ALLOW = 1, 4  # its flags: threads that are there already, too; and no slower processor for it
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets of struct seccomp_data
_X32 = 0x40000000
_NOBODY = 0x7E57C0DE  # stands for the pid of the process that installs the filter; no pid is that large
_ABSENT = ("clone3", "io_uring_setup", "io_uring_enter", "io_uring_register")

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Is:
    """A check of one argument: what `mask` leaves of its lower half (of its upper one) is one of `values`, or is none of them."""

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    wanted: bool = True
    upper: bool = False

    def holds(self, arguments: Sequence[int]) -> bool:
        """Whether it does for these; those that are left out are 0, and upper halves are."""
        known = dict(enumerate(arguments))
        value = 0 if self.upper else known.get(self.argument, 0)
        return (value & self.mask in self.values) == self.wanted


Checks = tuple[tuple[Is, ...], ...]  # a call is allowed if all checks of one row hold


@dataclass(frozen=True)
class Calls:
    """What a program may do, by the names of section 2 of the manual.

    listed   calls that are allowed, or, if `others`, refused
    checked  calls that are allowed with some arguments only
    others   calls that are not named here are allowed
    ignored  calls that do nothing and say they did, or, if checked, with other arguments than those
    """

    listed: frozenset[str]
    checked: Mapping[str, Checks] = field(default_factory=dict)
    others: bool = False
    ignored: frozenset[str] = frozenset()

    @cached_property
    def code(self) -> bytes:
        """The filter for this machine; made once, before the programs are forked, it costs each of them nothing."""
        return filter_of(self, os.uname().machine, _NOBODY)

    def allow(self, call: str, *arguments: int) -> bool:
        """Whether a call is allowed, with arguments of at most 32 bits."""
        if call in _ABSENT:
            return False
        if call in self.checked:
            return any(all(check.holds(arguments) for check in row) for row in self.checked[call])
        return (call in self.listed) != self.others and call not in self.ignored


def missing() -> list[str]:
    """What this machine can't refuse, a sentence each."""
    if os.uname().machine not in AUDIT:
        return [f"this machine ({os.uname().machine}) has no system call filter of ours: {_WITHOUT}"]
    found = _seccomp(_ACTION_AVAILABLE, 0, struct.pack("=I", _FAIL))
    return [f"this kernel has no system call filters, or the container forbids them: {_WITHOUT}"] if found else []


_WITHOUT = "the program can fork, send UDP packets, change modes and owners, and set other programs' limits"


def confine(calls: Calls) -> list[str]:
    """Install the filter for this process, all its threads and all that it starts; what is lacking, a sentence each.

    no_new_privs must be set, as sandbox.lock does. Raises OSError.
    """
    if lacking := missing():
        return lacking
    code = calls.code.replace(struct.pack("=I", _NOBODY), struct.pack("=I", os.getpid()))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    result = _seccomp(_SET_FILTER, _TSYNC | _SPEC_ALLOW, program)
    if result < 0 and ctypes.get_errno() == errno.EINVAL:  # a kernel before 4.17, or gVisor's
        result = _seccomp(_SET_FILTER, _TSYNC, program)
    if result:
        number = ctypes.get_errno() or errno.EBUSY  # a positive result is a thread that could not follow
        raise OSError(number, os.strerror(number), "seccomp")
    return []


def filter_of(calls: Calls, machine: str, pid: int) -> bytes:
    """The filter's instructions; pid: the process that may signal its own threads. Pure."""
    numbers, code = NUMBERS[machine], _Code()
    code.add(_LOAD, _ARCHITECTURE)
    code.add(_EQUAL, AUDIT[machine], 1, 0).add(_RETURN, _LACKING)  # a 32-bit program's calls have other numbers
    code.add(_LOAD, _NUMBER)
    code.add(_AT_LEAST, _X32, 0, 1).add(_RETURN, _LACKING)
    checked = dict(calls.checked)
    if "tgkill" in calls.listed and not calls.others:
        checked["tgkill"] = ((Is(0, (pid,)),),)
    for name, rows in checked.items():
        if name in numbers:
            block = _Code()
            for row in rows:
                block.join(_row(row))
            block.add(_RETURN, _NOTHING if name in calls.ignored else _REFUSE)
            code.add(_EQUAL, numbers[name], 0, len(block)).join(block)
    answers = [_ALLOW if calls.others else _REFUSE] * (NEWEST + 1)
    for name in calls.listed & numbers.keys():
        answers[numbers[name]] = _REFUSE if calls.others else _ALLOW
    for name in calls.ignored & numbers.keys():
        answers[numbers[name]] = _NOTHING
    for name in _ABSENT:
        answers[numbers[name]] = _LACKING
    return code.join(_choose([*answers, _LACKING], 0, NEWEST + 1)).packed()


class _Code:
    """Instructions: operation, value, and how many of the next to skip if true and if false."""

    def __init__(self) -> None:
        self._all: list[tuple[int, int, int, int]] = []

    def __len__(self) -> int:
        return len(self._all)

    def add(self, operation: int, value: int, if_true: int = 0, if_false: int = 0) -> "_Code":
        self._all.append((operation, if_true, if_false, value))
        return self

    def join(self, other: "_Code") -> "_Code":
        self._all.extend(other._all)  # noqa: SLF001  # of the same class
        return self

    def packed(self) -> bytes:
        return b"".join(struct.pack("=HBBI", *each) for each in self._all)


def _row(checks: Sequence[Is]) -> _Code:
    """Allow if all hold; else go on behind this row."""
    code = _Code().add(_RETURN, _ALLOW)
    for check in reversed(checks):
        before, offset = (
            _Code(),
            _ARGUMENTS + 8 * check.argument + 4 * check.upper,
        )  # both machines: the lower half first
        before.add(_LOAD, offset)
        if check.mask != 0xFFFFFFFF:
            before.add(_AND, check.mask)
        for left, value in zip(range(len(check.values) - 1, -1, -1), check.values, strict=True):
            fails = left + len(code)
            if check.wanted:
                before.add(_EQUAL, value, left, 0 if left else fails)
            else:
                before.add(_EQUAL, value, fails, 0)
        code = before.join(code)
    return code


def _choose(answers: Sequence[int], low: int, high: int) -> _Code:
    """The answer for a number from `low` to `high`, found by halves."""
    edges = [at for at in range(low + 1, high + 1) if answers[at] != answers[at - 1]]
    if not edges:
        return _Code().add(_RETURN, answers[low])
    middle = edges[len(edges) // 2]
    below, above = _choose(answers, low, middle - 1), _choose(answers, middle, high)
    return _Code().add(_AT_LEAST, middle, len(below), 0).join(below).join(above)


def _seccomp(operation: int, flags: int, argument: bytes) -> int:
    number = NUMBERS[os.uname().machine]["seccomp"]
    return int(_libc.syscall(*map(ctypes.c_long, (number, operation, flags)), argument))
