"""qmail-popup, qmail-pop3d and paperpath-checkpassword, as tcpserver and scripts start them."""

import hashlib
import json
import os
import poplib
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from pop3d_program import HASH, Pop3d, fill
from ports import free_port

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
MESSAGE = b"From: a@b.example\nSubject: one\n\n.a dot\n"
OK, AUTH, LATER = b"+OK ", b"-ERR [AUTH]", b"-ERR [SYS/TEMP]"


def popup(subprogram: list[str], said: bytes) -> tuple[list[bytes], int]:
    """What a client hears from qmail-popup, and the exit status."""
    run = subprocess.run(
        [BIN / "qmail-popup", "mx.example.org", *subprogram], input=said, capture_output=True, timeout=20, check=False
    )
    return run.stdout.split(b"\r\n")[:-1], run.returncode


def test_popup_greets_with_a_challenge():
    """`<PID.TIME@hostname>`; it ends with status 1 whatever happened."""
    lines, status = popup(["true"], b"QUIT\r\n")
    assert re.fullmatch(rb"\+OK <[0-9]+\.[0-9]+@mx\.example\.org>", lines[0])
    assert (lines[1], status) == (b"+OK goodbye", 1)


@pytest.mark.parametrize(
    ("said", "answers", "why"),
    [
        (b"STAT\r\n", [b"-ERR log in first"], "authorization first"),
        (b"PASS x\r\n", [b"-ERR USER first"], "PASS needs USER"),
        (b"USER\r\n", [b"-ERR USER needs a name, the whole address"], "an empty name"),
        (b"NOOP\r\n", [b"+OK"], "qmail-popup takes it"),
        (b"USER a\nQUIT\n", [b"+OK", b"+OK goodbye"], "a bare LF ends a command, as in qmail"),
    ],
)
def test_popup_before_the_password(said, answers, why):
    """Its commands (contracts on POP3), and the end of the input is the end."""
    lines, status = popup(["true"], said)
    assert (lines[1:], status) == (answers, 1), why


def test_popup_hands_over_name_password_and_challenge(tmp_path):
    """On descriptor 3, each with a NUL; the rest of the line is the password; descriptors 0 and 1 are the client."""
    got = tmp_path / "got"
    lines, _ = popup(["sh", "-c", f"cat <&3 >{got}; echo hello; cat"], b"USER alice\r\nPASS  a b \r\nSTAT\r\n")
    name, password, challenge, rest = got.read_bytes().split(b"\0")
    assert (name, password, rest) == (b"alice", b" a b ", b"")
    assert lines[0] == b"+OK " + challenge
    assert lines[1:] == [b"+OK", b"hello\nSTAT"], "what the client sent ahead is left for the program"


def test_popup_hands_over_an_apop_digest(tmp_path):
    """In the place of the password."""
    got = tmp_path / "got"
    popup(["sh", "-c", f"cat <&3 >{got}"], b"APOP alice 0123456789abcdef0123456789abcdef\r\n")
    assert got.read_bytes().startswith(b"alice\x000123456789abcdef0123456789abcdef\0<")


@pytest.mark.parametrize(
    ("subprogram", "answer"),
    [
        ("exit 1", b"-ERR [AUTH]"),
        ("exit 2", b"-ERR [SYS/PERM]"),
        ("exit 111", b"-ERR [SYS/TEMP]"),
        ("kill -9 $$", b"-ERR [SYS/TEMP]"),
    ],
)
def test_popup_says_why_there_was_no_log_in(subprogram, answer):
    """Wrong password, misuse, trouble, crash."""
    lines, status = popup(["sh", "-c", subprogram], b"USER a\r\nPASS b\r\n")
    assert lines[-1].startswith(answer)
    assert status == 1


def test_popup_without_a_subprogram_that_exists():
    """Is temporary: somebody will install it."""
    assert popup(["/nonexistent"], b"USER a\r\nPASS b\r\n")[0][-1].startswith(LATER)


# -- qmail-pop3d


def interpreter() -> list[str]:
    """A Python that the user mail may run, where root runs the tests."""
    if os.geteuid() != 0 or all(folder.stat().st_mode & 0o001 for folder in Path(sys.executable).resolve().parents):
        return [sys.executable]
    return ["/usr/bin/python3"]


def as_mail() -> dict:
    return {"user": "mail", "group": "mail", "extra_groups": []} if os.geteuid() == 0 else {}


QMAIL_POP3D = [*interpreter(), "-c", "import sys; from appliance.pop3d.qmail_pop3d import main; sys.exit(main())"]
PATH = {"PYTHONPATH": str(ROOT)}


def need_another_user() -> None:
    """Skip where root runs the tests from a checkout, or with a Python, that nobody else can reach."""
    reachable = all(folder.stat().st_mode & 0o001 for folder in (ROOT, *ROOT.parents))
    if os.geteuid() == 0 and not (reachable and os.access("/usr/bin/python3", os.X_OK)):
        pytest.skip("no Python and checkout that another user can read")


def pop3d(maildir: Path, said: bytes) -> tuple[list[bytes], int]:
    need_another_user()
    run = subprocess.run(
        [*QMAIL_POP3D, *([str(maildir)] if maildir else [])],
        input=said, capture_output=True, timeout=20, check=False, env=os.environ | PATH, cwd="/", **as_mail(),
    )  # fmt: skip
    assert run.stderr == b"", run.stderr
    return run.stdout.split(b"\r\n")[:-1], run.returncode


@pytest.fixture
def maildir():
    """A Maildir that the user mail can reach, with one message."""
    with tempfile.TemporaryDirectory(prefix="pop3d-") as root:
        os.chmod(root, 0o755)
        folder = Path(root) / "Maildir"
        fill(folder, MESSAGE)
        if os.geteuid() == 0:
            for each in (folder, *folder.rglob("*")):
                shutil.chown(each, "mail", "mail")
        yield folder


def test_pop3d_serves_a_maildir(maildir):
    """The answers of section 11.2, with sizes of the wire."""
    size = len(MESSAGE.replace(b"\n", b"\r\n"))
    lines, status = pop3d(maildir, b"STAT\nUIDL 1\nTOP 1 0\nRETR 1\nLAST\nNOOP\nDELE 1\nLAST\nSTAT\nQUIT\n")
    name = b"1700000000.M0P1Q0.host"
    assert status == 0
    assert lines[:3] == [b"+OK ", b"+OK 1 %d" % size, b"+OK 1 " + name]
    assert lines[3:8] == [b"+OK ", b"From: a@b.example", b"Subject: one", b"", b"."]
    assert lines[8:14] == [b"+OK %d octets" % size, b"From: a@b.example", b"Subject: one", b"", b"..a dot", b"."]
    assert lines[14:] == [b"+OK 0", b"+OK ", b"+OK ", b"+OK 1", b"+OK 0 0", b"+OK goodbye"]
    assert not any((maildir / "new").iterdir())


def test_pop3d_without_quit_changes_nothing(maildir):
    """The end of the input is no QUIT."""
    _, status = pop3d(maildir, b"DELE 1\n")
    assert status == 0
    assert len(os.listdir(maildir / "new")) == 1


@pytest.mark.parametrize("where", ["", "/nonexistent"])
def test_pop3d_without_a_maildir_says_so(where):
    """-ERR and status 0, as qmail-pop3d."""
    lines, status = pop3d(Path(where) if where else "", b"")
    assert [line[:4] for line in lines] == [b"-ERR"]
    assert status == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
def test_pop3d_will_not_be_root(maildir):
    """A message on descriptor 2, status 1."""
    run = subprocess.run([BIN / "qmail-pop3d", maildir], capture_output=True, timeout=20, check=False)
    assert (run.returncode, run.stdout) == (1, b"")
    assert b"root" in run.stderr


# -- paperpath-checkpassword


def check(state: Path, credentials: bytes | None, *program: str) -> subprocess.CompletedProcess:
    """Run it with these bytes on descriptor 3."""
    read, write = os.pipe()
    if credentials is not None:
        os.write(write, credentials)
    os.close(write)
    code = "import os, sys; " + ("os.dup2(int(sys.argv[1]), 3); " if credentials is not None else "")
    code += "os.execv(sys.argv[2], sys.argv[2:])"
    try:
        return subprocess.run(
            [sys.executable, "-c", code, str(read), BIN / "paperpath-checkpassword", *program],
            pass_fds=[read], capture_output=True, timeout=20, check=False, env=os.environ | {"PAPERPATH_STATE": str(state)},
        )  # fmt: skip
    finally:
        os.close(read)


SHOW = ("sh", "-c", 'echo "$USER $HOME $SHELL $(pwd)"')


def test_checkpassword_becomes_the_program_in_the_mailboxs_home(pop3d: Pop3d):
    """USER, HOME and SHELL are set, the working folder is the home."""
    run = check(pop3d.state.root, b"alice@example.org\0secret\0<1@mx>\0", *SHOW)
    home = pop3d.maildir().parent
    assert run.stdout.decode().split() == ["alice@example.org", str(home), "/bin/sh", str(home)]
    assert run.returncode == 0


def test_checkpassword_knows_an_apop_digest(pop3d: Pop3d):
    """For the mailbox with a plain secret, which does as a password, too; a hash is no secret."""
    for secret, name, status in ((b"tanstaaf", b"carol", 0), (HASH.encode(), b"alice", 1)):
        digest = hashlib.md5(b"<1@mx>" + secret).hexdigest().encode()
        assert check(pop3d.state.root, b"%b@example.org\0%b\0<1@mx>\0" % (name, digest), "true").returncode == status
    assert check(pop3d.state.root, b"carol@example.org\0tanstaaf\0<1@mx>\0", "true").returncode == 0


@pytest.mark.parametrize(
    ("credentials", "program", "status", "why"),
    [
        (b"alice@example.org\0wrong\0x\0", ("true",), 1, "a wrong password"),
        (b"nobody@example.org\0secret\0x\0", ("true",), 1, "nobody"),
        (b"alice@example.org\0secret\0x\0", (), 2, "no program"),
        (b"alice@example.org\0secret", ("true",), 2, "fields are missing"),
        (b"a" * 513, ("true",), 2, "more than 512 bytes"),
        (None, ("true",), 2, "no descriptor 3"),
        (b"alice@example.org\0secret\0x\0", ("/nonexistent",), 111, "the program is not there"),
    ],
)
def test_checkpasswords_exit_status(pop3d: Pop3d, credentials, program, status, why):
    """1 wrong, 2 misused, 111 try again later."""
    run = check(pop3d.state.root, credentials, *program)
    assert run.returncode == status, why
    assert run.stdout == b"", "descriptor 1 is the client's"


def test_checkpassword_is_slow_to_say_no_and_logs_it(pop3d: Pop3d):
    """A second; the line on descriptor 2 has tcpserver's word for the client's address."""
    os.environ["TCPREMOTEIP"] = "192.0.2.1"
    try:
        began = time.monotonic()
        run = check(pop3d.state.root, b"alice@example.org\0wrong\0x\0", "true")
    finally:
        del os.environ["TCPREMOTEIP"]
    assert time.monotonic() - began >= 1
    line = json.loads(run.stderr)
    assert (line["event"], line["client"], line["user"]) == ("login_failed", "192.0.2.1", "alice@example.org")
    assert "wrong" not in line.values()


def test_checkpassword_without_a_configuration_is_temporary(tmp_path):
    """Paperpath has never run there."""
    assert check(tmp_path, b"a\0b\0c\0", "true").returncode == 111


# -- all three


def test_the_classic_line_under_tcpserver():
    """tcpserver, qmail-popup, a checkpassword, qmail-pop3d: PASS, APOP, and a wrong password; root becomes who owns mail/."""
    need_another_user()
    tcpserver = shutil.which("tcpserver") or pytest.skip("tcpserver is not here (Debian package ucspi-tcp)")
    with tempfile.TemporaryDirectory(prefix="pop3d-") as folder:
        os.chmod(folder, 0o755)
        program = Pop3d(Path(folder) / "pop3d")
        assert program.stop() == 0
        program.fill(MESSAGE)
        if os.geteuid() == 0:
            for path in (program.state.root.parent, program.state.root):
                path.chmod(0o755)
            for path in (program.state.mail, *program.state.mail.rglob("*")):
                os.chown(path, pwd.getpwnam("mail").pw_uid, -1)
        port = free_port()
        with open(Path(folder) / "log", "wb") as errors:
            server = subprocess.Popen(
                [tcpserver, "-HRl0", "127.0.0.1", str(port), BIN / "qmail-popup", "mx.example.org",
                 BIN / "paperpath-checkpassword", *QMAIL_POP3D, "Maildir"],
                env=os.environ | PATH | {"PAPERPATH_STATE": str(program.state.root)}, stderr=errors,
            )  # fmt: skip
        try:
            session = connect(port)
            session.user("alice@example.org")
            session.pass_("secret")
            assert session.retr(1)[1][-1] == b".a dot"
            session.quit()
            session = connect(port)
            session.apop("carol@example.org", "tanstaaf")
            assert session.stat() == (0, 0)
            session.quit()
            session = connect(port)
            session.user("alice@example.org")
            with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
                session.pass_("wrong")
            session.close()
        finally:
            server.terminate()
            server.wait(60)
        assert '"event": "login_failed", "client": "127.0.0.1"' in (Path(folder) / "log").read_text()


def connect(port: int) -> poplib.POP3:
    deadline = time.monotonic() + 60
    while True:
        try:
            return poplib.POP3("127.0.0.1", port, timeout=60)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
