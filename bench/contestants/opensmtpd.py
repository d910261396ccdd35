"""OpenSMTPD: Debian's package with a configuration of a few lines; what is not set is its default."""

from bench.contestant import DOMAIN, Place, Start, make_maildir
from bench.peers import (
    DAEMON_UID,
    MAILBOX_UID,
    QUEUE_UID,
    give,
    obstacle,
    package_version,
    private_etc,
    unpacked,
)

TITLE = "OpenSMTPD"
# its listen backlog of 5 is compiled in; a connection more is dropped, and smtp-source waits a second for it in connect()
SESSIONS = 5
SHARE = 0.2
RELAY_BY_ALIAS = False
DURABILITY = "before the 250: nothing; before it forgets it: fsync of the Maildir file (no directory)"

_PACKAGES = ["opensmtpd", "libevent-2.1-7", "libdb5.3"]

# a session may send 100 messages by default, then it gets a 452, which ends the load
_CONFIG = """\
smtp limit max-mails 10000
listen on 127.0.0.1 port {port}
action "mailbox" maildir "{maildir}"
action "smarthost" relay host smtp://127.0.0.1:{sink_port}
match from any for domain "{domain}" action "mailbox"
match from any for any action "smarthost"
"""


def missing() -> str | None:
    """Why it can't run here."""
    return obstacle(_PACKAGES)


def version() -> str:
    """The package's."""
    return package_version(unpacked(_PACKAGES), "opensmtpd")


def prepare(place: Place) -> Start:
    """Write smtpd.conf, and the spool and chroot folders that its compiled-in paths expect."""
    packages = unpacked(_PACKAGES)
    home = place.folder / "mail" / "user"
    etc = private_etc(
        place.folder,
        {
            "opensmtpd": (DAEMON_UID, "/var/lib/opensmtpd/empty"),
            "opensmtpq": (QUEUE_UID, "/var/lib/opensmtpd/empty"),
            "user": (MAILBOX_UID, str(home)),
        },
    )
    (etc / "smtpd.conf").write_text(
        _CONFIG.format(port=place.port, sink_port=place.sink_port, maildir=place.maildir, domain=DOMAIN)
    )
    (etc / "mailname").write_text(f"mx.{DOMAIN}\n")
    var = place.folder / "var"
    for name in ("spool/smtpd", "lib/opensmtpd/empty"):
        (var / name).mkdir(parents=True)
    spool, run = place.folder / "spool", place.folder / "run"
    spool.mkdir(mode=0o711)
    run.mkdir()
    make_maildir(place.maildir)
    give(place.folder / "mail", MAILBOX_UID)
    return Start(
        ["/usr/sbin/smtpd", "-F", "-f", "/etc/smtpd.conf"],
        place.maildir,
        overlays=[(str(packages / "usr"), "/usr"), (str(etc), "/etc"), (str(var), "/var")],
        binds=[(str(spool), "/var/spool/smtpd"), (str(run), "/run")],
    )
