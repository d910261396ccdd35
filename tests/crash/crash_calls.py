"""Every system call that our programs make, in two tables: those that change something, and those that change nothing.

A kill point is the instant before a call of CHANGES (which is the instant after the one before it).  A call of NOTHING
leaves no trace once the process has ended: it reads, waits, or changes only what ends with the process.  A call that
stands in neither is noticed when a program makes it, and fails the proof: it has no point.  Numbers are those of x86_64
(arch/x86/entry/syscalls/syscall_64.tbl of the kernel).
"""

import os
import struct

CHANGES: dict[str, dict[str, int]] = {
    "files' content": {
        "write": 1, "writev": 20, "pwrite64": 18, "pwritev": 296, "pwritev2": 328, "sendfile": 40, "splice": 275,
        "vmsplice": 278, "tee": 276, "copy_file_range": 326, "truncate": 76, "ftruncate": 77, "fallocate": 285,
    },
    "made durable": {
        "fsync": 74, "fdatasync": 75, "sync": 162, "syncfs": 306, "sync_file_range": 277, "msync": 26,
    },
    "names": {
        "open": 2, "openat": 257, "openat2": 437, "creat": 85, "rename": 82, "renameat": 264, "renameat2": 316,
        "link": 86, "linkat": 265, "symlink": 88, "symlinkat": 266, "unlink": 87, "unlinkat": 263, "mkdir": 83,
        "mkdirat": 258, "rmdir": 84, "mknod": 133, "mknodat": 259, "bind": 49,
    },
    "attributes": {
        "chmod": 90, "fchmod": 91, "fchmodat": 268, "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260,
        "utime": 132, "utimes": 235, "futimesat": 261, "utimensat": 280, "setxattr": 188, "lsetxattr": 189,
        "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199,
    },
    "said to others": {
        "sendto": 44, "sendmsg": 46, "sendmmsg": 307, "shutdown": 48,
    },
    "other processes": {
        "kill": 62, "tkill": 200, "tgkill": 234, "pidfd_send_signal": 424, "rt_sigqueueinfo": 129,
        "rt_tgsigqueueinfo": 297, "fork": 57, "vfork": 58, "clone": 56, "execve": 59, "execveat": 322,
    },
    "by the kernel's hand": {
        "io_submit": 209, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "mount": 165,
        "umount2": 166,
    },
}  # fmt: skip


NOTHING: dict[str, dict[str, int]] = {
    "reading": {
        "read": 0, "readv": 19, "pread64": 17, "preadv": 295, "preadv2": 327, "recvfrom": 45, "recvmsg": 47,
        "recvmmsg": 299, "readlink": 89, "readlinkat": 267, "getdents": 78, "getdents64": 217, "lseek": 8,
        "fadvise64": 221, "readahead": 187, "inotify_init": 253, "inotify_init1": 294, "inotify_add_watch": 254,
        "inotify_rm_watch": 255,
    },
    "asking": {
        "stat": 4, "fstat": 5, "lstat": 6, "newfstatat": 262, "statx": 332, "statfs": 137, "fstatfs": 138,
        "access": 21, "faccessat": 269, "faccessat2": 439, "getcwd": 79, "uname": 63, "sysinfo": 99,
        "getrandom": 318, "getxattr": 191, "lgetxattr": 192, "fgetxattr": 193, "listxattr": 194, "llistxattr": 195,
        "flistxattr": 196, "getsockname": 51, "getpeername": 52, "getsockopt": 55, "getpid": 39, "getppid": 110,
        "gettid": 186, "getuid": 102, "geteuid": 107, "getgid": 104, "getegid": 108, "getresuid": 118,
        "getresgid": 120, "getgroups": 115, "getpgid": 121, "getpgrp": 111, "getsid": 124, "getrlimit": 97,
        "getrusage": 98, "times": 100, "getcpu": 309, "sched_getaffinity": 204, "sched_getparam": 143,
        "sched_getscheduler": 145, "sched_get_priority_max": 146, "sched_get_priority_min": 147,
        "sched_getattr": 315, "getpriority": 140, "get_mempolicy": 239, "mincore": 27, "capget": 125, "kcmp": 312,
    },
    "waiting": {
        "poll": 7, "ppoll": 271, "select": 23, "pselect6": 270, "epoll_create": 213, "epoll_create1": 291,
        "epoll_ctl": 233, "epoll_wait": 232, "epoll_pwait": 281, "epoll_pwait2": 441, "futex": 202,
        "futex_waitv": 449, "nanosleep": 35, "clock_nanosleep": 230, "pause": 34, "wait4": 61, "waitid": 247,
        "restart_syscall": 219, "rt_sigtimedwait": 128, "rt_sigsuspend": 130, "sched_yield": 24,
    },
    "the clock": {
        "time": 201, "gettimeofday": 96, "clock_gettime": 228, "clock_getres": 229, "alarm": 37, "setitimer": 38,
        "getitimer": 36, "timer_create": 222, "timer_settime": 223, "timer_gettime": 224, "timer_delete": 226,
        "timer_getoverrun": 225, "timerfd_create": 283, "timerfd_settime": 286, "timerfd_gettime": 287,
    },
    "own memory": {
        "brk": 12, "mmap": 9, "munmap": 11, "mremap": 25, "mprotect": 10, "madvise": 28, "mlock": 149, "mlock2": 325,
        "munlock": 150, "mlockall": 151, "munlockall": 152, "mbind": 237, "set_mempolicy": 238, "membarrier": 324,
        "memfd_create": 319, "pkey_alloc": 330, "pkey_free": 331, "pkey_mprotect": 329,
    },
    "own descriptors": {
        "close": 3, "close_range": 436, "dup": 32, "dup2": 33, "dup3": 292, "fcntl": 72, "ioctl": 16, "flock": 73,
        "pipe": 22, "pipe2": 293, "eventfd": 284, "eventfd2": 290, "signalfd": 282, "signalfd4": 289, "socket": 41,
        "socketpair": 53, "connect": 42, "listen": 50, "accept": 43, "accept4": 288, "setsockopt": 54,
        "pidfd_open": 434, "pidfd_getfd": 438,
    },
    "own threads and signals": {
        "clone3": 435, "set_tid_address": 218, "set_robust_list": 273, "get_robust_list": 274, "rseq": 334,
        "arch_prctl": 158, "prctl": 157, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15,
        "rt_sigpending": 127, "sigaltstack": 131, "exit": 60, "exit_group": 231, "sched_setaffinity": 203,
        "sched_setparam": 142, "sched_setscheduler": 144, "sched_setattr": 314, "setpriority": 141,
        "ioprio_set": 251, "ioprio_get": 252, "personality": 135,
    },
    "own place and rights": {
        "chdir": 80, "fchdir": 81, "umask": 95, "setpgid": 109, "setsid": 112, "setrlimit": 160, "prlimit64": 302,
        "setuid": 105, "setgid": 106, "setreuid": 113, "setregid": 114, "setresuid": 117, "setresgid": 119,
        "setgroups": 116, "setfsuid": 122, "setfsgid": 123, "capset": 126, "seccomp": 317,
        "landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446,
    },
}  # fmt: skip

ARCHITECTURE = 0xC000003E  # AUDIT_ARCH_X86_64
NUMBERS = {name: number for group in (*CHANGES.values(), *NOTHING.values()) for name, number in group.items()}
NAMES = {number: name for name, number in NUMBERS.items()}
CHANGING = frozenset(name for group in CHANGES.values() for name in group)
# these change something only with certain flags: which argument has them, and which flags
ONLY_WITH = {"open": (1, os.O_CREAT | os.O_TRUNC), "openat": (2, os.O_CREAT | os.O_TRUNC)}
THREAD = 0x10000  # CLONE_THREAD: a thread ends with its process

_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_NUMBER, _FIRST_ARGUMENT = 0, 16  # offsets in struct seccomp_data


def filter_of(exempt: int) -> bytes:
    """The BPF program that asks about each call which may change something, or which nobody has looked at.

    exempt: a descriptor on which sendmsg is allowed, for the filter's own listener leaves by it.  Pure.
    """
    allow, notify = _operation(_RETURN, _ALLOW), _operation(_RETURN, _NOTIFY)
    code = [_operation(_LOAD, _NUMBER)]
    for group in NOTHING.values():
        code += [_operation(_EQUAL, number, 0, 1) + allow for number in group.values()]
    conditions = [
        (NUMBERS[name], argument, _ANY_BIT, flags, notify, allow) for name, (argument, flags) in ONLY_WITH.items()
    ]
    conditions.append((NUMBERS["clone"], 0, _ANY_BIT, THREAD, allow, notify))
    conditions.append((NUMBERS["sendmsg"], 0, _EQUAL, exempt, allow, notify))
    for number, argument, test, value, then, otherwise in conditions:
        code.append(_operation(_EQUAL, number, 0, 4))
        code.append(_operation(_LOAD, _FIRST_ARGUMENT + 8 * argument))
        code.append(_operation(test, value, 0, 1) + then + otherwise)
    return b"".join([*code, notify])


def _operation(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
