"""What a program may reach: the files of the system that programs use, its home, the way into the queue."""

import os
import sys
from pathlib import Path

import appliance
from appliance import call_groups
from appliance.sandbox import Rules
from appliance.state import State

_PROGRAMS = ("/bin", "/sbin", "/usr", "/lib", "/lib32", "/lib64", "/opt")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full")
# what programs ask the system for; never all of /etc, where our YAML and other people's secrets may lie
_FILES = (
    *("/dev/random", "/dev/urandom"),
    *("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/hosts", "/etc/resolv.conf"),
    *("/etc/services", "/etc/protocols", "/etc/networks", "/etc/gai.conf", "/etc/hostname", "/etc/mailname"),
    *("/etc/localtime", "/etc/timezone", "/etc/default/locale", "/etc/locale.alias", "/etc/terminfo"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload", "/etc/alternatives"),
    *("/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs", "/etc/ca-certificates"),
    *("/etc/profile", "/etc/bash.bashrc", "/etc/inputrc", "/etc/perl", "/etc/python3", "/etc/php", "/etc/java"),
    *("/etc/magic", "/etc/mime.types", "/etc/mailcap", "/etc/mail.rc", "/etc/aliases", "/etc/aliases.cdb"),
    *("/etc/procmailrc", "/etc/procmailrcs", "/etc/maildroprc", "/etc/courier/maildroprc"),
    *("/etc/spamassassin", "/etc/bogofilter.cf", "/etc/crm114"),
)


def binaries() -> str:
    """The folder of qmail's commands: that of `paperpath` itself."""
    return os.path.join(sys.prefix, "bin") if sys.prefix != sys.base_prefix else "/usr/bin"


def around(state: State, network: bool) -> Rules:
    """What the launcher itself keeps: all that any of its programs may have, and a look at their processes.

    network: some mailbox's programs may use it.
    """
    return Rules(
        read=(*_there(_FILES), Path("/proc"), state.generations, state.tokens / "inject"),
        write=(*_there(_DEVICES), state.mail, state.scratch),
        execute=(*_executable(), state.mail),
        connect=None if network else (),
        calls=call_groups.launcher(network),
    )


def of_a_program(state: State, home: Path, scratch: Path, control: Path, network: bool, proc: bool) -> Rules:
    """What one delivery's program may reach.

    control  the folder of the control files in force, and with the role token of `inject` the way into the queue
    proc     for the minder, which counts processes
    """
    return Rules(
        read=(*_there(_FILES), control, state.tokens / "inject", *([Path("/proc")] if proc else ())),
        write=(*_there(_DEVICES), home, scratch),
        execute=(*_executable(), home),
        connect=None if network else (),
        calls=None if proc else call_groups.program(network),
    )


def _executable() -> tuple[Path, ...]:
    """Programs of the system, Python, and ours, which may lie elsewhere."""
    own = os.path.dirname(os.path.abspath(appliance.__file__))
    return _there(tuple(dict.fromkeys((*_PROGRAMS, sys.prefix, sys.base_prefix, own))))


def _there(paths: tuple[str, ...]) -> tuple[Path, ...]:
    return tuple(Path(path) for path in paths if path != "/" and os.access(path, os.R_OK))
