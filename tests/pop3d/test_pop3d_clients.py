"""Everyday clients: poplib, curl, fetchmail, mpop; and Dovecot on the same Maildir."""

import imaplib
import os
import poplib
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from pop3d_program import Pop3d
from ports import free_port

MESSAGES = (
    b"From: a@b.example\nSubject: one\n\n.a dot\n..two dots\n",
    b"From: a@b.example\nSubject: two\n\n" + b"x" * 2000 + b"\n",
    b"From: a@b.example\nSubject: three\n\nlast line\n",
)


def need(program: str, package: str) -> str:
    path = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin")
    if path is None:
        pytest.skip(f"{program} is not here (Debian package {package})")
    return path


def wire(content: bytes) -> bytes:
    return content.replace(b"\n", b"\r\n")


def test_poplib(pop3d):
    """Python's own client reads everything, and leaves what it did not delete."""
    pop3d.fill(*MESSAGES)
    session = poplib.POP3("127.0.0.1", pop3d.port, timeout=60)
    assert "UIDL" in session.capa()
    session.user("alice@example.org")
    session.pass_("secret")
    assert session.stat() == (3, sum(len(wire(each)) for each in MESSAGES))
    for number, content in enumerate(MESSAGES, 1):
        _, lines, octets = session.retr(number)
        assert b"".join(line + b"\r\n" for line in lines) == wire(content)
        assert octets >= len(wire(content))  # poplib counts the dots that were added
    assert session.top(1, 1)[1][-1] == b".a dot"
    session.dele(2)
    session.quit()
    assert len(os.listdir(pop3d.maildir() / "cur")) == 2


def test_curl(pop3d):
    """Curl lists, reads and deletes by URL."""
    curl = need("curl", "curl")
    pop3d.fill(*MESSAGES)
    url = f"pop3://127.0.0.1:{pop3d.port}/"

    def run(*more: str) -> bytes:
        command = [curl, "--silent", "--show-error", "--user", "alice@example.org:secret", *more]
        return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout

    assert run(url).split() == [
        word for n, each in enumerate(MESSAGES, 1) for word in (b"%d" % n, b"%d" % len(wire(each)))
    ]
    for number, content in enumerate(MESSAGES, 1):
        assert run(f"{url}{number}") == wire(content)
    run("--request", "DELE", "--list-only", f"{url}3")
    assert len(run(url).splitlines()) == 2
    failed = subprocess.run(
        [curl, "--silent", "--user", "alice@example.org:wrong", url], check=False, capture_output=True, timeout=30
    )
    assert failed.returncode == 67  # login denied


@pytest.mark.parametrize("keep", [True, False])
def test_fetchmail(pop3d, tmp_path, keep):
    """Fetchmail fetches each message once, by UIDL when it leaves them, and deletes otherwise."""
    fetchmail = need("fetchmail", "fetchmail")
    pop3d.fill(*MESSAGES)
    inbox = tmp_path / "inbox"
    control = tmp_path / "fetchmailrc"
    control.write_text(
        f"poll 127.0.0.1 service {pop3d.port} protocol POP3 {'uidl' if keep else ''} auth password\n"
        f'  user "alice@example.org" password "secret" {"keep" if keep else "nokeep"} sslproto "" '
        f"mda \"sh -c 'cat >> {inbox}; echo ---- >> {inbox}'\"\n"
    )
    control.chmod(0o600)
    environment = os.environ | {"HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path)}

    def run() -> int:
        return subprocess.run(
            [fetchmail, "--fetchmailrc", control, "--silent", "--nodetach"],
            check=False,
            env=environment,
            capture_output=True,
            timeout=60,
        ).returncode

    assert run() == 0
    assert run() == 1  # nothing new
    text = inbox.read_bytes()
    assert text.count(b"----\n") == 3
    assert all(content.split(b"\n\n", 1)[1] in text for content in MESSAGES)
    assert len(os.listdir(pop3d.maildir() / "cur")) == (3 if keep else 0)


def test_mpop(pop3d, tmp_path):
    """Mpop pipelines; it delivers into a Maildir, and leaves nothing behind."""
    mpop = need("mpop", "mpop")
    pop3d.fill(*MESSAGES)
    for folder in ("tmp", "new", "cur"):
        (tmp_path / "inbox" / folder).mkdir(parents=True)
    control = tmp_path / "mpoprc"
    control.write_text(
        f"account default\nhost 127.0.0.1\nport {pop3d.port}\ntls off\nauth user\nuser alice@example.org\n"
        f"passwordeval echo secret\nkeep off\ndelivery maildir {tmp_path}/inbox\nuidls_file {tmp_path}/uidls\n"
    )
    control.chmod(0o600)
    run = subprocess.run([mpop, "--file", control], check=False, capture_output=True, timeout=60)
    assert run.returncode == 0, run.stderr
    got = sorted(path.read_bytes().split(b"\n\n", 1)[1] for path in (tmp_path / "inbox" / "new").iterdir())
    assert got == sorted(content.split(b"\n\n", 1)[1] for content in MESSAGES)
    assert os.listdir(pop3d.maildir() / "cur") == []


DOVECOT = """\
protocols = imap pop3
base_dir = {folder}/run
log_path = {folder}/log
default_internal_user = dovecot
default_login_user = dovenull
default_internal_group = dovecot
ssl = no
disable_plaintext_auth = no
listen = 127.0.0.1
first_valid_uid = 0
first_valid_gid = 0
mail_location = maildir:{mail}
pop3_uidl_format = %f
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
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


@pytest.fixture
def shared():
    """A pop3d and a Dovecot on one Maildir, which belongs to the user mail, for Dovecot never serves root."""
    need("dovecot", "dovecot-pop3d")
    if os.geteuid() != 0 or not Path("/usr/lib/dovecot/pop3").exists():
        pytest.skip("Dovecot with its POP3 server must be started by root (Debian package dovecot-pop3d)")
    owner = pwd.getpwnam("mail")
    with tempfile.TemporaryDirectory(prefix="pop3d-") as root:
        os.chmod(root, 0o755)
        program = Pop3d(Path(root) / "pop3d")
        program.fill(*MESSAGES)
        for folder in (program.state.root, *program.maildir().parents):
            if folder.is_relative_to(root):
                folder.chmod(0o755)
        for folder, folders, files in os.walk(program.maildir().parent):
            for name in (".", *folders, *files):
                os.chown(os.path.join(folder, name), owner.pw_uid, owner.pw_gid)
        dovecot = Path(root) / "dovecot"
        (dovecot / "home").mkdir(parents=True)
        os.chown(dovecot / "home", owner.pw_uid, owner.pw_gid)
        ports = {"imap": free_port(), "pop3": free_port()}
        (dovecot / "conf").write_text(
            DOVECOT.format(folder=dovecot, mail=program.maildir(), uid=owner.pw_uid, gid=owner.pw_gid, **ports)
        )
        process = subprocess.Popen([need("dovecot", "dovecot-pop3d"), "-F", "-c", dovecot / "conf"])
        yield program, ports
        process.terminate()
        process.wait(60)
        assert program.stop() == 0


def by_pop3(port: int, user: str) -> tuple[list[bytes], list[bytes], list[list[bytes]]]:
    """LIST, UIDL and all messages, as a POP3 server shows them."""
    deadline = time.monotonic() + 60
    while True:
        try:
            session = poplib.POP3("127.0.0.1", port, timeout=60)
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    session.user(user)
    session.pass_("secret")
    found = session.list()[1], session.uidl()[1]
    messages = [session.retr(number)[1] for number in range(1, len(found[0]) + 1)]
    session.quit()
    return *found, messages


def test_dovecot_and_we_show_the_same_mailbox(shared):
    """Sizes, UIDLs (as qmail makes them) and bytes are those of Dovecot's POP3, before our session and after it."""
    program, ports = shared
    theirs = by_pop3(ports["pop3"], "alice")
    ours = by_pop3(program.port, "alice@example.org")
    assert ours == theirs
    assert by_pop3(ports["pop3"], "alice") == ours


def test_what_we_delete_is_gone_for_dovecot_and_flags_of_dovecot_are_no_matter_to_us(shared):
    """An IMAP session is open while POP3 deletes; IMAP then marks a message, which POP3 has open."""
    program, ports = shared
    theirs = by_pop3(ports["pop3"], "alice")  # also waits until Dovecot is there
    imap = imaplib.IMAP4("127.0.0.1", ports["imap"])
    imap.login("alice", "secret")
    assert imap.select()[1] == [b"3"]
    with program.session() as client:
        client.say(b"DELE 1")
        imap.store("2", "+FLAGS", r"(\Seen \Answered)")
        assert client.lines(b"RETR 2")[1] == b"Subject: two"
        imap.store("3", "+FLAGS", r"(\Deleted)")
        imap.expunge()
        assert client.say(b"RETR 3")[:4] == b"-ERR"
        assert client.say(b"QUIT")[:3] == b"+OK"
    assert imap.select()[1] == [b"1"]
    imap.logout()
    ours = by_pop3(program.port, "alice@example.org")
    assert [line.split()[1] for line in ours[1]] == [theirs[1][1].split()[1]]
