"""A qmail host with a hundred domains, imported: mail goes where the contracts say it went."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from appliance_process import PAPERPATH, Appliance, wait_until
from real_peers import Sink

sys.path.append(str(Path(__file__).parents[1] / "qmail"))
import qmail_host

# addresses, each with what is tried by it
TRIED = [
    ("alice@d0.example", "a mailbox in a home of its domain's own"),
    ("Team@D5.example", "an alias there, to a mailbox and a local user"),
    ("anybody@d10.example", "its catch-all"),
    ("info@d1.example", "a forward to another host, of a user's"),
    ("a.b@d6.example", "a dot in an address is a colon in a file's name"),
    ("anybody@d11.example", "what a shorter default file catches"),
    ("news@d2.example", "a list with an owner"),
    ("news@d7.example", "a list with VERP"),
    ("news-owner-x=y.example@d7.example", "a bounce to it"),
    ("robot@d3.example", "a program"),
    ("info@d4.example", "a domain that shares its user with nineteen others"),
    ("info@d99.example", "another one of them"),
    ("user@single.example", "a single address of another host's domain"),
    ("whoever@a.b.wild.example", "a wildcard"),
    ("info@x.wild.example", "a file of its own under a wildcard"),
    ("joe@mx.host.example", "a user"),
    ("sue-A.b@local.example", "a user's extension"),
    ("sue-plain@local.example", "an empty file: the default delivery"),
    ("joe-x@local.example", "a user's default file"),
    ("news-2026@local.example", "a wildcard of users/assign"),
    ("info@local.example", "an exact entry of users/assign"),
    ("root@mx.host.example", "the alias user"),
    ("odd-thing@mx.host.example", "the alias user's wildcard"),
    ("sue%local.example@percent.example", "behind a percent sign"),
    ("postmaster@mx.host.example", "the host's postmaster"),
]
REFUSED = [
    "nobody@mx.host.example",
    "alice@d1.example.net",
    "other@d2.example",
    "x@wild.example.net",
    "joe@elsewhere.example",
]


def ends(prediction: qmail_host.Prediction, address: str) -> Counter[tuple[str, str]]:
    """Where a message to an address is in the end: Maildirs and other hosts' addresses."""
    found: Counter[tuple[str, str]] = Counter()
    led = prediction.of(address)
    assert led != "nobody", address
    if led[0] == "remote":
        return Counter({("remote", led[1]): 1})
    for action, target in led:
        if action == "forward":
            found += ends(prediction, target)
        elif action == "maildir":
            found[action, target] += 1
    return found


def test_a_qmail_host_delivers_as_before(tmp_path: Path, appliance: Callable[..., Appliance], sink: Sink) -> None:
    """Wildcards, owners, VERP lists, programs: the same Maildirs, the same mail to other hosts, from the same senders."""
    root = tmp_path / "host"
    home = qmail_host.build(root, sink.start().port)
    done = subprocess.run([PAPERPATH, "import", "qmail", home], capture_output=True, text=True, check=True)
    running = appliance()
    running.configure(f"{done.stdout}\nlisten: {{smtp: {{address: 127.0.0.1, port: {running.port}}}}}\n")
    moves = dict(re.findall(r"^(/\S+): move this home to (\S+) in the state folder$", done.stderr, re.MULTILINE))
    for old, new in moves.items():
        shutil.copytree(root / old.lstrip("/"), running.state / new, dirs_exist_ok=True)
    running.start()
    prediction = qmail_host.Prediction(root)
    expected: Counter[tuple[str, str]] = Counter()
    for address, _ in TRIED:
        running.send(address, text=f"to {address}")
        expected += ends(prediction, address)
    wait_until(lambda: not running.queue(), 20, "an empty queue")
    found = Counter({("maildir", old): count for old, count in maildirs(running.state, moves).items()})
    found += Counter(("remote", recipient) for _, recipient in remote(sink))
    assert found == expected
    assert (running.state / "mail/d3.example/robot.robot").read_bytes().endswith(b"to robot@d3.example\n")
    senders = Counter(remote(sink))
    for recipient in ("a@list.example.net", "b@list.example.net"):
        assert senders["news-owner@d2.example", recipient] == 1, "the owner gets the bounces"
        assert senders[f"news-owner-{recipient.replace('@', '=')}@d7.example", recipient] == 1, "and knows for whom"
    with running.smtp() as session:
        session.ehlo()
        session.mail("x@client.example")
        assert [session.rcpt(address)[0] for address in REFUSED] == [550] * len(REFUSED)
        session.rset()
        session.mail("x@spam.example")
        assert session.rcpt("joe@mx.host.example")[0] == 553


def maildirs(state: Path, moves: dict[str, str]) -> Counter[str]:
    """Messages by Maildir, under the old names of the homes."""
    found: Counter[str] = Counter()
    for path in (state / "mail").rglob("new/*"):
        inside = path.parents[1].relative_to(state).as_posix()
        old, new = max(
            ((old, new) for old, new in moves.items() if inside.startswith(f"{new}/")), key=lambda pair: len(pair[1])
        )
        found[old + inside.removeprefix(new)] += 1
    return found


def remote(sink: Sink) -> list[tuple[str, str]]:
    """Sender and recipient of each message that another host got."""
    found: list[tuple[str, str]] = []
    for message in sink.messages():
        lines = message.decode().split("\n")
        envelope = [line.split(": ", 1)[1] for line in lines if line.startswith(("X-Mail-Args:", "X-Rcpt-Args:"))]
        sender, *recipients = (re.search("<(.*?)>", line)[1] for line in envelope)  # type: ignore[index]
        found += [(sender, recipient) for recipient in recipients]
    return found
