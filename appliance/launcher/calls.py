"""What Landlock can't refuse a program: sockets other than TCP, listening, io_uring.  A seccomp filter does.

A filter (the kernel's documentation: userspace-api/seccomp_filter) is a program of classic BPF that sees the
number and the arguments of each system call; it holds for all that the process starts.
"""

import ctypes
import errno
import os
import platform
import socket
import struct

_ALLOW = 0x7FFF0000
_FAIL = 0x00050000  # with the error in the low bits
_SET_SECCOMP, _FILTER = 22, 2  # prctl
_ACTION_AVAILABLE = 2  # operation of seccomp(2)
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets of struct seccomp_data
_X32 = 0x40000000
_IO_URING = 425  # io_uring_setup, everywhere

# machine: audit architecture, numbers of socket, listen, seccomp
_MACHINES = {"x86_64": (0xC000003E, 41, 50, 317), "aarch64": (0xC00000B7, 198, 201, 277)}
_ALWAYS = (socket.AF_UNIX,)
_NETWORK = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)

_libc = ctypes.CDLL(None, use_errno=True)


def missing() -> list[str]:
    """What this machine can't refuse, a sentence each."""
    sentence = "this machine has no system call filter: a program of a mailbox can send UDP packets"
    if platform.machine() not in _MACHINES:
        return [sentence]
    number = _MACHINES[platform.machine()][3]
    action = struct.pack("=I", _FAIL)
    found = _libc.syscall(ctypes.c_long(number), ctypes.c_long(_ACTION_AVAILABLE), ctypes.c_long(0), action)
    return [sentence] if found else []


def filter_of(architecture: int, to_open: int, to_listen: int, families: tuple[int, ...]) -> bytes:
    """The filter's instructions: the families whose sockets may be opened; nobody listens.  Pure."""
    refuse = _operation(_RETURN, _FAIL | errno.EACCES)
    lacking = _operation(_RETURN, _FAIL | errno.ENOSYS)
    allow = _operation(_RETURN, _ALLOW)
    return b"".join(
        (
            _operation(_LOAD, _ARCHITECTURE),
            _operation(_EQUAL, architecture, 1, 0) + lacking,  # a 32-bit program's calls have other numbers
            _operation(_LOAD, _NUMBER),
            _operation(_AT_LEAST, _X32, 0, 1) + lacking,
            _operation(_EQUAL, _IO_URING, 0, 1) + lacking,  # it opens sockets, unseen from here
            _operation(_EQUAL, to_listen, 0, 1) + refuse,
            _operation(_EQUAL, to_open, 1, 0) + allow,
            _operation(_LOAD, _FIRST_ARGUMENT),
            *(_operation(_EQUAL, family, 0, 1) + allow for family in families),
            refuse,
        )
    )


def confine(network: bool) -> None:
    """Install the filter, where there is one, for this process and all that it starts. Raises OSError.

    no_new_privs must be set, as sandbox.lock does.
    """
    if missing():
        return
    architecture, to_open, to_listen, _ = _MACHINES[platform.machine()]
    code = filter_of(architecture, to_open, to_listen, _NETWORK if network else _ALWAYS)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    if _libc.prctl(ctypes.c_long(_SET_SECCOMP), ctypes.c_long(_FILTER), program, ctypes.c_long(0), ctypes.c_long(0)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "seccomp")


def _operation(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
