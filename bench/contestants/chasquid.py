"""chasquid: Debian's package with maildrop, its default delivery agent, as an ordinary user."""

import subprocess

from bench.contestant import DOMAIN, MAILBOX, Place, Start, make_maildir
from bench.peers import MAILBOX_UID, give, obstacle, package_version, private_etc, unpacked

TITLE = "chasquid"
SESSIONS = 20
SHARE = 0.25
RELAY_BY_ALIAS = True
DURABILITY = "before the 250: nothing (since 1.17 it syncs its queue file); before it forgets it: maildrop's fsync of the Maildir file"

_LIBRARIES = ["courier-authlib", "libcourier-unicode4", "libpcre3", "libgdbm6"]
_PACKAGES = ["chasquid", "maildrop", *_LIBRARIES]

_CONFIG = """\
hostname: "mx.{domain}"
smtp_address: "127.0.0.1:{port}"
data_dir: "{folder}/data"
mail_log_path: "{folder}/data/mail.log"
mail_delivery_agent_bin: "/usr/bin/maildrop"
mail_delivery_agent_args: "{folder}/data/mailfilter"
"""


def missing() -> str | None:
    """Why it can't run here."""
    return obstacle(_PACKAGES)


def version() -> str:
    """The package's."""
    return package_version(unpacked(_PACKAGES), "chasquid")


def prepare(place: Place) -> Start:
    """Write its configuration folder with a certificate (it does not start without one) and the mailbox's user.

    It relays only for clients that authenticate, which smtp-source can't: the mailbox is then an alias of an address at
    [127.0.0.1], and that counts as relaying.
    """
    packages = unpacked(_PACKAGES)
    config, data = place.folder / "config", place.folder / "data"
    domain, certificate = config / "domains" / DOMAIN, config / "certs" / f"mx.{DOMAIN}"
    for folder in (domain, certificate, data):
        folder.mkdir(parents=True)
    values = {"domain": DOMAIN, "port": place.port, "folder": place.folder}
    (config / "chasquid.conf").write_text(_CONFIG.format(**values))
    key, chain = certificate / "privkey.pem", certificate / "fullchain.pem"
    _run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", str(key), "-out", str(chain), "-subj", f"/CN=mx.{DOMAIN}")  # fmt: skip
    _run(str(packages / "usr/bin/chasquid-util"), f"--configdir={config}", "user-add", MAILBOX, "--password=unused")
    if place.mode == "relay":
        (domain / "aliases").write_text("user: user@127.0.0.1\n")
    mailfilter = data / "mailfilter"
    mailfilter.write_text(f'to "{place.maildir}"\n')
    mailfilter.chmod(0o600)
    make_maildir(place.maildir)
    for folder in (config, data, place.folder / "mail"):
        give(folder, MAILBOX_UID)
    etc = private_etc(place.folder, {"user": (MAILBOX_UID, str(place.folder / "mail" / "user"))})
    user = ["setpriv", f"--reuid={MAILBOX_UID}", f"--regid={MAILBOX_UID}", "--clear-groups"]
    relay = [f"--testing__outgoing_smtp_port={place.sink_port}"] if place.mode == "relay" else []
    return Start(
        [*user, "/usr/bin/chasquid", f"--config_dir={config}", *relay],
        place.maildir,
        overlays=[(str(packages / "usr"), "/usr"), (str(etc), "/etc")],
    )


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
