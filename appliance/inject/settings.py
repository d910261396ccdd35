"""What qmail-inject takes from its environment and from control files.  Pure but for the generation it reads."""

from collections.abc import Mapping
from typing import NamedTuple

from appliance.control import Generation
from appliance.message.rewriting import Hosts

Environment = Mapping[bytes, bytes]


class Settings(NamedTuple):
    """Who writes, and how.

    user, host       of From; a host of None is the default host
    name             the person's; None if unknown
    sender_user      and sender_host: of the envelope sender
    letters          of $QMAILINJECT
    lists            addresses of $QMAILMFTFILE in lower case
    """

    hosts: Hosts
    id_host: bytes
    user: bytes
    host: bytes | None
    name: bytes | None
    sender_user: bytes
    sender_host: bytes | None
    letters: frozenset[str]
    lists: frozenset[bytes] = frozenset()


def settings(environ: Environment, generation: Generation, lists: frozenset[bytes] = frozenset()) -> Settings:
    """The first variable that is set counts. Raises OSError, LookupError if control files can't be read."""

    def control(variable: bytes, name: str) -> bytes:
        found = environ.get(variable)
        return generation.line(name, generation.me) if found is None else found

    user = _first(environ, b"QMAILUSER", b"MAILUSER", b"USER", b"LOGNAME")
    host = _first(environ, b"QMAILHOST", b"MAILHOST")
    default = control(b"QMAILDEFAULTHOST", "defaulthost")
    domain = control(b"QMAILDEFAULTDOMAIN", "defaultdomain")
    plus = control(b"QMAILPLUSDOMAIN", "plusdomain")
    sender_user = environ.get(b"QMAILSUSER")
    sender_host = environ.get(b"QMAILSHOST")
    user = b"anonymous" if user is None else user
    return Settings(
        hosts=Hosts(default, domain, plus),
        id_host=control(b"QMAILIDHOST", "idhost"),
        user=user,
        host=host,
        name=_first(environ, b"QMAILNAME", b"MAILNAME", b"NAME"),
        sender_user=user if sender_user is None else sender_user,
        sender_host=host if sender_host is None else sender_host,
        letters=frozenset(environ.get(b"QMAILINJECT", b"").decode("latin-1")),
        lists=lists,
    )


def listed(data: bytes) -> frozenset[bytes]:
    """The addresses in a file of mailing lists (a control list), in lower case."""
    lines = (line.rstrip(b" \t") for line in data.split(b"\n"))
    return frozenset(line.lower() for line in lines if line and not line.startswith(b"#"))


def _first(environ: Environment, *names: bytes) -> bytes | None:
    return next((environ[name] for name in names if name in environ), None)
