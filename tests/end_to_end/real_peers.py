"""Real peers: Postfix, Dovecot, smtp-sink."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from appliance_process import free_port, wait_until


def need(program: str, package: str) -> str:
    """The path of a program, or a skip that says which package brings it."""
    path = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin")
    if path is None:
        pytest.skip(f"{program} is not here (Debian package {package})")
    return path


def listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Seen from its network, and without a connection, which its options may be about (proc_net_tcp(5))."""
    assert process.poll() is None
    connections = Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()
    return any(f":{port:04X} 00000000:0000 0A " in line for line in connections)


class Sink:
    """smtp-sink with its fault options, dumping each message to a file."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> "Sink":
        program = need("smtp-sink", "postfix")
        self.folder.mkdir(exist_ok=True)
        as_user = ["-u", "root"] if os.geteuid() == 0 else []  # it asks for the option when root starts it
        self.process = subprocess.Popen(
            [program, *as_user, *options, "-d", f"{self.folder}/%M.", f"127.0.0.1:{self.port}", "100"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )
        wait_until(lambda: listens(self.process, self.port), 10, "smtp-sink to listen")
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def messages(self) -> list[bytes]:
        """What arrived (smtp-sink makes the file first, and writes it when the message is complete)."""
        files = sorted(self.folder.iterdir()) if self.folder.exists() else []
        return [content for path in files if (content := path.read_bytes())]


POSTFIX_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
mail_owner = postfix
myhostname = partner.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
virtual_mailbox_domains = partner.example
virtual_mailbox_maps = inline:{{ {{ carol@partner.example = carol/ }} }}
virtual_mailbox_base = {folder}/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_alias_maps =
local_recipient_maps =
smtpd_relay_restrictions = reject_unauth_destination
smtputf8_enable = no
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
"""

POSTFIX_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
error unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
proxymap unix - - n - - proxymap
showq unix n - n - - showq
"""


class Postfix:
    """A real Postfix as the next host: it delivers carol@partner.example to a Maildir."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder

    def start(self) -> "Postfix":
        self.program = need("postfix", "postfix")
        if os.geteuid() != 0:
            pytest.skip("Postfix's master must be started by root")
        import pwd

        owner = pwd.getpwnam("postfix")
        folder = self.folder
        folder.mkdir()
        folder.chmod(0o755)
        for name in ("config", "spool", "data", "mail"):
            (folder / name).mkdir()
        for name in ("data", "mail"):
            os.chown(folder / name, owner.pw_uid, owner.pw_gid)
        values = {"folder": folder, "port": self.port, "uid": owner.pw_uid, "gid": owner.pw_gid}
        (folder / "config" / "main.cf").write_text(POSTFIX_MAIN.format(**values))
        (folder / "config" / "master.cf").write_text(POSTFIX_MASTER.format(**values))
        # on a busy machine it says that it could not be started, and goes on starting
        started = subprocess.run([self.program, "-c", folder / "config", "start"], check=False, capture_output=True)
        wait_until(self._greets, 10, f"Postfix to greet: {started}")
        return self

    def _greets(self) -> bool:
        import socket

        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                return connection.recv(4) == b"220 "
        except OSError:
            return False

    def mailbox(self) -> list[bytes]:
        """Mail of carol."""
        folder = self.folder / "mail" / "carol" / "new"
        return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.exists() else []

    def stop(self) -> None:
        if (self.folder / "config").exists():
            subprocess.run([self.program, "-c", self.folder / "config", "stop"], check=False, capture_output=True)


DOVECOT = """\
protocols = imap
base_dir = {folder}/run
log_path = {folder}/log
default_internal_user = {user}
default_login_user = {login}
default_internal_group = {group}
ssl = no
disable_plaintext_auth = no
listen = 127.0.0.1
first_valid_uid = 0
first_valid_gid = 0
mail_location = maildir:{mail}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home
}}
"""


class Dovecot:
    """A real Dovecot that shows a Maildir by IMAP to anybody who says `secret`."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, maildir: Path) -> "Dovecot":
        program = need("dovecot", "dovecot-imapd")
        import grp
        import pwd

        # its login process refuses to be root; started by root it may be the user that Debian made for it
        root = os.geteuid() == 0
        (self.folder / "home").mkdir(parents=True)
        owner = maildir.stat()
        if root:  # Dovecot never serves uid 0: let it read a copy that belongs to somebody else
            maildir = self._copy(maildir, pwd.getpwnam("mail"))
            owner = maildir.stat()
        config = self.folder / "dovecot.conf"
        config.write_text(
            DOVECOT.format(
                folder=self.folder,
                port=self.port,
                mail=maildir,
                uid=owner.st_uid,
                gid=owner.st_gid,
                user="dovecot" if root else pwd.getpwuid(os.geteuid()).pw_name,
                login="dovenull" if root else pwd.getpwuid(os.geteuid()).pw_name,
                group="dovecot" if root else grp.getgrgid(os.getegid()).gr_name,
            )
        )
        self.process = subprocess.Popen([program, "-F", "-c", config], stderr=subprocess.DEVNULL)
        return self

    def _copy(self, maildir: Path, owner) -> Path:
        copy = self.folder / "Maildir"
        shutil.copytree(maildir, copy)
        for folder, _, files in os.walk(copy):
            for path in [folder, *(os.path.join(folder, name) for name in files)]:
                os.chown(path, owner.pw_uid, owner.pw_gid)
        os.chown(self.folder / "home", owner.pw_uid, owner.pw_gid)
        return copy

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
