"""The system calls of each program, in groups that say what they are for: tables only.

What the programs really call was listed with strace under Python 3.11 with glibc 2.36, and under 3.13 with 2.41; a
group also has the other forms of the same calls, which another C library may prefer.
"""

import socket
from functools import cache

from appliance.calls import Calls, Checks, Is

_THREAD = 0x00010000  # clone: CLONE_THREAD
_NAMESPACES = 0x7E020000  # clone: CLONE_NEW...
_WRITABLE, _EXECUTABLE, _ANONYMOUS = 2, 4, 0x20  # mmap: PROT_WRITE, PROT_EXEC, MAP_ANONYMOUS
_KIND = 0xF  # socket: its type without SOCK_CLOEXEC and SOCK_NONBLOCK
_FAST_OPEN = 0x20000000  # send: MSG_FASTOPEN connects without connect(2), so Landlock does not see it
_SIGNALS_ANOTHER = (8, 10, 15)  # fcntl: F_SETOWN, F_SETSIG, F_SETOWN_EX
_NAMES_A_THREAD = (15, 16)  # prctl: PR_SET_NAME, PR_GET_NAME
# ioctl: TCGETS (isatty), FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, SIOCGIFCONF (the addresses of this host)
_HARMLESS = (0x5401, 0x541B, 0x5421, 0x5450, 0x5451, 0x8912)
# ioctl: TIOCSTI and TIOCLINUX type for whoever uses the terminal; FIOSETOWN and SIOCSPGRP are as F_SETOWN
_MEDDLING = (0x5412, 0x541C, 0x8901, 0x8902)

_RUNNING = """
    brk mmap mprotect munmap mremap madvise membarrier futex set_robust_list set_tid_address rseq clone exit exit_group
    getpid getppid gettid getpgid getpgrp getsid getuid geteuid getgid getegid getgroups getresuid getresgid
    sched_yield sched_getaffinity sched_getparam sched_getscheduler getcpu uname sysinfo getrandom prctl arch_prctl
    getrlimit setrlimit prlimit64 getrusage umask
    clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack tgkill restart_syscall
"""
_DESCRIPTORS = """
    read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close close_range dup dup2 dup3 fcntl
    pipe pipe2 poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
    eventfd2 ioctl sendfile
"""
_READING = """
    open openat stat lstat fstat newfstatat statx access faccessat faccessat2 readlink readlinkat getdents getdents64
    getcwd chdir fchdir statfs fstatfs flock fadvise64
"""
_TALKING = """
    socket socketpair connect accept accept4 shutdown getsockname getpeername setsockopt getsockopt
    sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg
"""
_WRITING = """
    ftruncate truncate fallocate fsync fdatasync sync_file_range syncfs mkdir mkdirat rmdir unlink unlinkat
    rename renameat renameat2 link linkat symlink symlinkat
"""
_FORKING = "fork vfork wait4 waitid"
_WATCHING = "inotify_init1 inotify_add_watch inotify_rm_watch"

# of no use to a mailbox's program, or of use against others of the same user
_AGAINST_OTHERS = """
    ptrace process_vm_readv process_vm_writev process_madvise process_mrelease pidfd_getfd kcmp migrate_pages move_pages
    shmget shmat shmctl msgget msgsnd msgrcv msgctl semget semop semtimedop semctl mq_open mq_unlink
    mount umount2 pivot_root move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr chroot unshare setns
    bpf userfaultfd perf_event_open keyctl add_key request_key personality lookup_dcookie fanotify_init quotactl acct
    init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff syslog
    open_by_handle_at name_to_handle_at listen
"""
_CHANGING_MODES = """
    chmod fchmod fchmodat chown fchown lchown fchownat utime utimes futimesat utimensat
    setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
"""


def _families(*rows: tuple[int, int, tuple[int, ...]]) -> Checks:
    """Of socket(2): a family, a kind, and the protocols that Landlock knows (MPTCP, it does not)."""
    return tuple((Is(0, (family,)), Is(1, (kind,), _KIND), Is(2, protocols)) for family, kind, protocols in rows)


_UNIX = ((socket.AF_UNIX, socket.SOCK_STREAM, (0,)),)
_INTERNET = tuple(
    (family, kind, (0, protocol))
    for family in (socket.AF_INET, socket.AF_INET6)
    for kind, protocol in ((socket.SOCK_STREAM, socket.IPPROTO_TCP), (socket.SOCK_DGRAM, socket.IPPROTO_UDP))
)
_NAMES_AND_NETWORKS = ((socket.AF_NETLINK, socket.SOCK_RAW, (0,)), (socket.AF_NETLINK, socket.SOCK_DGRAM, (0,)))

_CHECKED: dict[str, Checks] = {
    "mmap": (
        (Is(2, (0,), _EXECUTABLE),),
        (Is(2, (0,), _WRITABLE), Is(3, (0,), _ANONYMOUS)),
    ),  # libraries, nothing made up
    "mprotect": ((Is(2, (0,), _EXECUTABLE),),),
    "fcntl": ((Is(1, _SIGNALS_ANOTHER, wanted=False),),),
    "ioctl": ((Is(1, _HARMLESS),),),
    "clone": ((Is(0, (_THREAD,), _THREAD),),),
    "prctl": ((Is(0, _NAMES_A_THREAD),),),
    "prlimit64": ((Is(0, (0,)),),),
}
_FORKS: dict[str, Checks] = {"clone": ((Is(0, (0,), _NAMESPACES),),)}
_NO_FAST_OPEN: dict[str, Checks] = {
    call: ((Is(flags, (0,), _FAST_OPEN),),) for call, flags in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3))
}


def _only(*groups: str, sockets: Checks = (), **checked: Checks) -> Calls:
    names = frozenset(" ".join((_RUNNING, _DESCRIPTORS, _READING, *groups)).split())
    return Calls(names, _CHECKED | {"socket": sockets} | checked)


RECEIVING = _only(_TALKING, sockets=_families(*_UNIX))
QUEUE = _only(_TALKING, _WRITING, "listen", sockets=_families(*_UNIX))
LOCAL = _only(_TALKING, _WRITING, "memfd_create", sockets=_families(*_UNIX))
REMOTE = _only(_TALKING, sockets=_families(*_UNIX, *_INTERNET), **_NO_FAST_OPEN)
POP3D = _only(_TALKING, _WRITING)
CONFIG = _only(_WRITING, _FORKING, _WATCHING, **_FORKS)

_OWN = ((Is(0, (0,)),),)
_OF_STRANGERS: dict[str, Checks] = _FORKS | {
    "fcntl": ((Is(1, _SIGNALS_ANOTHER, wanted=False),),),
    "ioctl": ((Is(1, _MEDDLING, wanted=False),),),
    "prlimit64": _OWN,
    "sched_setaffinity": _OWN,
    "sched_setattr": _OWN,
    "sched_setparam": _OWN,
    "sched_setscheduler": _OWN,
    "setpriority": ((Is(0, (0,)), Is(1, (0,))),),
    "ioprio_set": ((Is(0, (1,)), Is(1, (0,))),),
}


@cache
def launcher(network: bool) -> Calls:
    """The launcher's own, with all that any of its programs may have: it clears up after them, so it may change modes."""
    rows = (*_UNIX, *(_INTERNET if network else ()), *(_NAMES_AND_NETWORKS if network else ()))
    return Calls(frozenset(_AGAINST_OTHERS.split()), _OF_STRANGERS | {"socket": _families(*rows)}, others=True)


@cache
def program(network: bool) -> Calls:
    """Of a mailbox's program: modes and owners stay as they are, and cp, sed, tar and gzip, which set them, go on.

    Times may be changed of what it has open, as touch and cp do: no path is given then.
    """
    calls = launcher(network)
    by_descriptor = ((Is(1, (0,)), Is(1, (0,), upper=True)),)
    ignored = frozenset(_CHANGING_MODES.split())
    return Calls(calls.listed, {**calls.checked, "utimensat": by_descriptor}, others=True, ignored=ignored)


def write_filters() -> None:
    """Now, for all programs, so that those who are forked share them."""
    for calls in (RECEIVING, QUEUE, LOCAL, REMOTE, POP3D, CONFIG, launcher(network=False), program(network=False)):
        calls.code  # noqa: B018  # it is kept
