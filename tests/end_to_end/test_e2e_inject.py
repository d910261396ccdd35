"""Mail from this machine's own programs: mail(1), mutt, git, cron-like scripts, and the filters of dot-qmail lines."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from appliance_process import PAPERPATH, Appliance, wait_until
from real_peers import need

BIN = PAPERPATH.parent
SENDMAIL = BIN / "sendmail"
LETTER = b"To: alice@example.org\nSubject: hi\n\nhello\n"

FILTERS = """\
version: 1
hostname: mx.example.org
listen:
  smtp: {{address: 127.0.0.1, port: {port}}}
domains:
  example.org:
    mailboxes:
      alice: {{}}
      bob: {{deliver: {bob}}}
    aliases: {{postmaster: [alice]}}
"""


def environment(running: Appliance, home: Path) -> dict[str, str]:
    """As a user of the machine has it."""
    names = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(home), "USER": "alice", "QMAILHOST": "example.org"}
    return names | {"PAPERPATH_STATE": str(running.state), "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C.UTF-8"}


def mails(running: Appliance, name: str, count: int) -> list[bytes]:
    """What a mailbox holds, once it holds so many."""
    wait_until(lambda: len(running.mailbox(name)) >= count, 10, f"{count} mails for {name}")
    return running.mailbox(name)


def test_mail_programs_send_by_our_sendmail(appliance: Callable[..., Appliance], tmp_path: Path) -> None:
    """mail(1), mutt and git send-email, as they are; everybody they name gets the mail."""
    mailx, mutt, git = need("bsd-mailx", "bsd-mailx"), need("mutt", "mutt"), need("git", "git")
    running = appliance().start()
    environ = environment(running, tmp_path)

    def run(*words: str, text: bytes = b"", folder: Path = tmp_path) -> None:
        done = subprocess.run(words, check=False, input=text, env=environ, cwd=folder, capture_output=True, timeout=60)
        assert done.returncode == 0, (done.stdout, done.stderr)

    (tmp_path / ".mailrc").write_text(f"set sendmail={SENDMAIL}\n")
    run(mailx, "-s", "from mailx", "-c", "bob@example.org", "alice@example.org", text=b"hello\n.dot\n")
    (tmp_path / "muttrc").write_text(f'set sendmail="{SENDMAIL}"\nset from=alice@example.org\nset copy=no\n')
    run(mutt, "-F", "muttrc", "-s", "from mutt", "-b", "bob@example.org", "alice@example.org", text=b"hello\n")
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "file").write_text("text\n")
    who = ["-c", "user.name=Alice", "-c", "user.email=alice@example.org"]
    run(git, "init", "-q", folder=repository)
    run(git, "add", "file", folder=repository)
    run(git, *who, "commit", "-qm", "a change", folder=repository)
    if Path("/usr/lib/git-core/git-send-email").exists():
        to = ["--to=alice@example.org", "--cc=bob@example.org", "--confirm=never", "-1"]
        run(git, *who, "send-email", f"--sendmail-cmd={SENDMAIL}", *to, folder=repository)

    subjects = {b"from mailx", b"from mutt"}
    if Path("/usr/lib/git-core/git-send-email").exists():
        subjects.add(b"[PATCH] a change")
    for name in ("alice", "bob"):
        found = mails(running, name, len(subjects))
        assert subjects <= {re.findall(rb"^Subject: (.*)$", mail, re.MULTILINE)[0] for mail in found}
        assert all(b"invoked by uid %d)" % os.geteuid() in mail for mail in found)
    assert all(b"Bcc" not in mail for mail in running.mailbox("bob"))


def test_a_message_that_is_piped_in_takes_the_usual_way(appliance: Callable[..., Appliance], tmp_path: Path) -> None:
    """The log tells of it; a large one arrives whole; zero recipients are none; nobody by that name is bounced."""
    running = appliance().start()
    environ = environment(running, tmp_path)
    large = LETTER + b"0123456789abcde\n" * 200_000
    for words, text in ((["-t"], LETTER), (["-t", "-i"], large), ([], LETTER), (["nobody@example.org"], LETTER)):
        assert subprocess.run([SENDMAIL, *words], input=text, env=environ, check=False, timeout=60).returncode == 0
    small, bounce, long = sorted(mails(running, "alice", 3), key=len)
    assert small.endswith(b"\n\nhello\n")
    assert long.endswith(large[len(LETTER) - 6 :])
    assert b"nobody@example.org" in bounce
    queued = running.log("queued")
    assert {line["by"] for line in queued} == {f"uid {os.geteuid()}"}
    assert [line["recipients"] for line in queued if not line["recipients"]] == [0]
    wait_until(lambda: running.queue() == [], 5, "an empty queue")


def test_mail_waits_in_scripts_while_the_queue_is_away(appliance: Callable[..., Appliance], tmp_path: Path) -> None:
    """111 for sendmail and 71 for qmail-queue mean: try again; after the start it goes through."""
    running = appliance().start()
    environ = environment(running, tmp_path)
    running.kill_all()
    (tmp_path / "envelope").write_bytes(b"Falice@example.org\0Talice@example.org\0\0")

    def send(name: str, *words: str) -> int:
        with (tmp_path / "envelope").open("rb") as envelope:
            call = [BIN / name, *words]
            out = envelope if name == "qmail-queue" else subprocess.DEVNULL
            return subprocess.run(call, input=LETTER, stdout=out, env=environ, check=False, timeout=60).returncode

    assert (send("sendmail", "-t"), send("qmail-queue")) == (111, 71)
    running.start()
    assert (send("sendmail", "-t"), send("qmail-queue")) == (0, 0)
    assert len(mails(running, "alice", 2)) == 2


@pytest.mark.parametrize(
    ("lines", "alice", "bob"),
    [
        (["|forward alice@example.org"], 1, 0),
        (["|condredirect alice@example.org grep -q hello", "./Maildir/"], 1, 0),
        (["|condredirect alice@example.org grep -q elephant", "./Maildir/"], 0, 1),
        (["|except grep -q elephant", "./Maildir/"], 0, 1),
        (["|preline cat >>all", "|grep -q ^From.sender all && exit 0; exit 100", "./Maildir/"], 0, 1),
        (["|bouncesaying 'not hers' grep -q elephant", "./Maildir/"], 0, 1),
        (["|sed s/hello/goodbye/ | sendmail -f '' alice@example.org"], 1, 0),
    ],
)
def test_filters_in_dot_qmail_lines(
    appliance: Callable[..., Appliance], lines: list[str], alice: int, bob: int
) -> None:
    """In the program's sandbox, with the delivery's variables; what they send on goes through the queue."""
    running = appliance(yaml="version: 1")
    quoted = ", ".join("'" + line.replace("'", "''") + "'" for line in lines)
    running.configure(FILTERS.format(port=running.port, bob=f"[{quoted}]"))
    running.start()
    running.send("bob@example.org", text="hello")
    wait_until(lambda: running.log("finished") and running.queue() == [], 10, "an empty queue")
    assert (len(running.mailbox("alice")), len(running.mailbox("bob"))) == (alice, bob), running.log_file.read_text()


def test_bouncesaying_tells_the_sender(appliance: Callable[..., Appliance]) -> None:
    """The text is in the failure; the lines after it are not carried out."""
    running = appliance(yaml="version: 1")
    running.configure(FILTERS.format(port=running.port, bob="[\"|bouncesaying 'bob has moved'\", ./Maildir/]"))
    running.start()
    running.send("bob@example.org", sender="alice@example.org")
    (bounce,) = mails(running, "alice", 1)
    assert b"bob has moved" in bounce
    assert running.mailbox("bob") == []
