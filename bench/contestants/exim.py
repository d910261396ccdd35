"""Exim: exim4-daemon-light with a small configuration of its own; what is not set is Exim's default."""

from bench.contestant import DOMAIN, Place, Start, make_maildir
from bench.peers import DAEMON_UID, MAILBOX_UID, give, obstacle, package_version, private_etc, unpacked

TITLE = "Exim"
SESSIONS = 20
SHARE = 0.1
RELAY_BY_ALIAS = False
DURABILITY = (
    "before the 250: fsync of both spool files and of their directory; before it forgets it: fsync of the Maildir file"
)


_LIBRARIES = ["libgnutls-dane0", "libunbound8", "libidn12", "libnsl2", "libtirpc3", "libdb5.3"]
_PACKAGES = ["exim4-daemon-light", "exim4-base", *_LIBRARIES]

# smtp_accept_max is 20 by default, as many as the sessions of the load: a process that is slow to end would cost a 421.
# smtp_accept_queue_per_connection is 10: the 11th message of a connection would wait for the next queue run, in half an hour.
_CONFIG = """\
primary_hostname = mx.{domain}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
domainlist local_domains = {domain}
hostlist relay_from_hosts = 127.0.0.1
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
smtp_accept_max = 100
smtp_accept_queue_per_connection = 0
tls_advertise_hosts =
acl_smtp_rcpt = accept_all
acl_smtp_data = accept_all

begin acl
accept_all:
  accept

begin routers
mailbox:
  driver = accept
  domains = +local_domains
  transport = maildir
smarthost:
  driver = manualroute
  route_list = * 127.0.0.1::{sink_port}
  self = send
  transport = remote_smtp

begin transports
maildir:
  driver = appendfile
  directory = {maildir}
  maildir_format
  user = {uid}
  group = {uid}
  delivery_date_add
  envelope_to_add
  return_path_add
remote_smtp:
  driver = smtp
  allow_localhost

begin retry
* * F,2h,15m; G,16h,1h,1.5; F,4d,6h
"""


def missing() -> str | None:
    """Why it can't run here."""
    return obstacle(_PACKAGES)


def version() -> str:
    """The package's."""
    return package_version(unpacked(_PACKAGES), "exim4-daemon-light")


def prepare(place: Place) -> Start:
    """Write /etc/exim4/exim4.conf for its private view, and its spool."""
    packages = unpacked(_PACKAGES)
    etc = private_etc(place.folder, {"Debian-exim": (DAEMON_UID, str(place.folder / "spool"))})
    config = etc / "exim4" / "exim4.conf"
    config.parent.mkdir()
    config.write_text(
        _CONFIG.format(
            domain=DOMAIN,
            folder=place.folder,
            port=place.port,
            sink_port=place.sink_port,
            maildir=place.maildir,
            uid=MAILBOX_UID,
        )
    )
    for name in ("spool", "log"):
        (place.folder / name).mkdir()
        give(place.folder / name, DAEMON_UID)
    make_maildir(place.maildir)
    give(place.folder / "mail", MAILBOX_UID)
    return Start(
        ["/usr/sbin/exim4", "-bdf", "-q30m"],
        place.maildir,
        overlays=[(str(packages / "usr"), "/usr"), (str(etc), "/etc")],
    )
