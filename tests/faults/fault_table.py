"""Which errors a system call may give, by what its descriptor is: the pages of section 2 of the manual, and what the
kernel's file systems and sockets give besides (ENOMEM wherever it allocates, EROFS after a remount).

A call of our programs between DATA and delivery that stands in neither table fails the test.
"""

from collections.abc import Sequence

_WRITE = ("EIO", "ENOSPC", "EDQUOT", "EINTR", "ENOMEM")
_READ = ("EIO", "EINTR", "ENOMEM")
_LOOK = ("EIO", "ENOMEM")
_SYNC = ("EIO", "ENOSPC", "EDQUOT", "EINTR")
_NAME = ("EIO", "ENOSPC", "EDQUOT", "ENOMEM", "EROFS")
_OPEN = ("EIO", "EINTR", "ENOMEM", "EMFILE")
_CREATE = (*_OPEN, "ENOSPC", "EDQUOT", "EROFS")
_MAKE = ("EMFILE", "ENOMEM")
_TALK = ("EINTR", "ENOMEM")
_WAIT = ("EINTR", "ENOMEM")

# calls, and the errors that are tried of each by what its descriptor is; "" stands for whatever is not named
_TABLE: tuple[tuple[str, dict[str, tuple[str, ...]]], ...] = (
    ("write writev pwrite64 pwritev pwritev2", {
        "file": _WRITE, "socket": _TALK, "pipe": _WAIT, "memory": ("ENOSPC", "ENOMEM", "EINTR"), "event": ()}),
    ("read readv pread64 preadv preadv2", {
        "file": _READ, "socket": _TALK, "pipe": ("EINTR",), "memory": _READ, "event": ()}),
    ("fsync fdatasync sync_file_range", {"": _SYNC}),
    ("syncfs", {"": ("EIO", "ENOSPC", "EDQUOT")}),
    ("open openat", {"create": _CREATE, "": _OPEN}),
    ("rename renameat2 unlink unlinkat mkdir mkdirat rmdir link", {"": _NAME}),
    ("ftruncate fallocate sendfile copy_file_range", {"": _WRITE}),
    (("stat lstat fstat newfstatat statx access faccessat2 readlink readlinkat getdents64 statfs fstatfs chdir chmod "
     "fchmod getcwd"), {"": _LOOK}),
    ("accept accept4", {"": (*_MAKE, "EINTR")}),
    ("socket socketpair pipe2 memfd_create eventfd2 pidfd_open dup dup2 dup3 landlock_create_ruleset", {"": _MAKE}),
    ("connect sendto sendmsg recvfrom recvmsg sendmmsg", {"": _TALK}),
    ("bind listen getsockname getpeername setsockopt getsockopt fcntl landlock_add_rule", {"": ("ENOMEM",)}),
    ("poll ppoll select pselect6 flock", {"": _WAIT}),
    ("epoll_wait epoll_pwait clock_nanosleep wait4 waitid", {"": ("EINTR",)}),
    ("epoll_ctl", {"": ("ENOMEM", "ENOSPC")}),
    ("io_uring_enter", {"": _WAIT}),
    ("fork vfork clone clone3", {"": ("EAGAIN", "ENOMEM")}),
    ("mmap", {"": _MAKE}),
    # a close that fails has closed all the same, and strace can only leave it out: files alone, where that loses a descriptor
    ("close", {"file": ("EIO", "EINTR"), "": ()}),
)  # fmt: skip
ERRORS = {call: kinds for calls, kinds in _TABLE for call in calls.split()}

# calls that are tried with no error, and why
WITHOUT = {
    "the kernel gives none that stands for a fault": (
        "getpid gettid getppid getuid geteuid getgid getegid getpgrp umask set_robust_list rseq rt_sigaction "
        "rt_sigprocmask rt_sigreturn sigaltstack exit exit_group lseek getrandom sched_yield sched_getaffinity setsid "
        "getpgid setpgid set_tid_address uname times getrusage restart_syscall arch_prctl getresuid getresgid alarm "
        "close_range shutdown tgkill ioctl kill capget gettimeofday clock_gettime clock_getres getgroups fadvise64 capset"
    ),
    "threads and memory of one process, no file and no socket": (
        "futex mprotect munmap madvise mremap brk prlimit64 getrlimit setrlimit prctl membarrier"
    ),
    "what follows is the shell's or is refused at once": "execve seccomp landlock_restrict_self",
}


def kind(line: str) -> str:
    """What the descriptor of a call is, from a line of strace -yy: file, socket, pipe, memory, event, create or ''."""
    call, _, arguments = line.partition("(")
    if call in ("open", "openat"):
        return "create" if "O_CREAT" in arguments else "file"
    _, found, rest = arguments.partition("<")
    if not found or not arguments[0].isdigit():
        return ""
    for name, starts in _KINDS.items():
        if rest.startswith(starts):
            return name
    return "file" if rest.startswith("/") else ""


_KINDS = {
    "memory": ("/memfd:", "memfd:"),
    "pipe": ("pipe:", "/dev/"),
    "socket": ("socket:", "UNIX", "TCP", "UDP", "NETLINK"),
    "event": ("anon_inode:", "eventfd", "io_uring"),
}


def errors(call: str, what: str) -> tuple[str, ...] | None:
    """What is tried at such a call; None if no table knows it."""
    if call in ERRORS:
        known = ERRORS[call]
        return known.get(what, known.get("", ()))
    return () if any(call in calls.split() for calls in WITHOUT.values()) else None


def unknown(calls: Sequence[tuple[str, str]]) -> list[str]:
    """Calls that no table knows."""
    return sorted({call for call, what in calls if errors(call, what) is None})
