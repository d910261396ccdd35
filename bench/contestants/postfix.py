"""Postfix: a private instance with Debian's services and defaults, not in a chroot."""

import os
import pwd
import shutil
import subprocess

from bench.contestant import DOMAIN, MAILBOX, Place, Start, make_maildir
from bench.peers import MAILBOX_UID, give, need_root

TITLE = "Postfix"
SESSIONS = 20
SHARE = 1.0
RELAY_BY_ALIAS = False
DURABILITY = "before the 250: fsync of the queue file (no directory); before it forgets it: fsync of the Maildir file (no directory)"


_PROGRAMS = "/usr/lib/postfix/sbin"

_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {programs}
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.{domain}
myorigin = $myhostname
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
biff = no
append_dot_mydomain = no
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
"""

_MAILDIR = """\
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ {mailbox}=user/Maildir/ }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{uid}
"""

# Debian's master.cf, with n in the chroot column and our port
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def missing() -> str | None:
    """Why it can't run here."""
    if not shutil.which("postfix") or not os.path.exists(f"{_PROGRAMS}/master"):
        return "Debian's package postfix is not installed"
    return need_root()


def version() -> str:
    """As postconf says."""
    return subprocess.run(
        ["postconf", "-hd", "mail_version"], capture_output=True, text=True, check=True
    ).stdout.strip()


def prepare(place: Place) -> Start:
    """Write main.cf and master.cf; make the queue's folders, for which `postfix start` does the rest."""
    values = {"folder": place.folder, "programs": _PROGRAMS, "domain": DOMAIN, "mailbox": MAILBOX, "uid": MAILBOX_UID}
    main = _MAIN.format(**values)
    if place.mode == "maildir":
        main += _MAILDIR.format(**values)
        make_maildir(place.maildir)
        give(place.folder / "mail", MAILBOX_UID)
    else:
        main += f"relayhost = [127.0.0.1]:{place.sink_port}\n"
    config = place.folder / "config"
    config.mkdir()
    (config / "main.cf").write_text(main)
    (config / "master.cf").write_text(_MASTER.format(port=place.port))
    (place.folder / "queue").mkdir()
    data = place.folder / "data"
    data.mkdir()
    os.chown(data, pwd.getpwnam("postfix").pw_uid, -1)
    return Start(["postfix", "-c", str(config), "start"], place.maildir)
