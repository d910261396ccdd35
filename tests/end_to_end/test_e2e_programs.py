"""Programs in dot-qmail lines, through the whole appliance: the real filters people use, with qmail's environment."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from appliance_process import PAPERPATH, Appliance, free_port, wait_until
from real_peers import need

YAML = """\
version: 1
hostname: mx.example.org
listen:
  smtp: {{address: 127.0.0.1, port: {port}}}
domains:
  example.org:
    mailboxes:
      alice: {alice}
      bob: {{}}
    aliases:
      postmaster: [bob]
{more}
"""


@pytest.fixture
def running(tmp_path: Path) -> Callable[..., Appliance]:
    """Starts an appliance in which alice has these dot-qmail lines, and these files in her home."""
    started: list[Appliance] = []

    def start(lines: list[str], files: dict[str, str] | None = None, more: str = "", programs: str = "") -> Appliance:
        quoted = ", ".join("'" + line.replace("'", "''") + "'" for line in lines)
        alice = f"{{deliver: [{quoted}]{programs}}}"
        appliance = Appliance(tmp_path / "appliance", yaml="version: 1")
        appliance.configure(YAML.format(port=appliance.port, alice=alice, more=more))
        home = home_of(appliance)
        home.mkdir(parents=True, mode=0o700)
        for name, text in (files or {}).items():
            (home / name).write_text(text)
            (home / name).chmod(0o700)
        started.append(appliance)
        return appliance.start()

    yield start
    for appliance in started:
        appliance.stop()


def home_of(appliance: Appliance, name: str = "alice") -> Path:
    return appliance.state / "mail/example.org" / name


def in_maildir(appliance: Appliance, folder: str = "Maildir", name: str = "alice") -> list[bytes]:
    new = home_of(appliance, name) / folder / "new"
    return [path.read_bytes() for path in new.iterdir()] if new.exists() else []


def test_procmail_sorts_mail(running) -> None:
    """It is told where it is: all mailboxes belong to one uid, whose home procmail would take for theirs."""
    need("procmail", "procmail")
    appliance = running(
        ['|(printf "%s%s" "$RPLINE" "$DTLINE"; cat) | procmail -m HERE=$HOME ./rc'],
        {
            "rc": "MAILDIR=$HERE\nDEFAULT=$HERE/Maildir/\n:0\n* ^From:.*lists@\nlists/\n:0 B\n* refuse me\n{ EXITCODE=100\n HOST }\n"
        },
    )
    appliance.send("alice@example.org", text="hello")
    appliance.send("alice@example.org", sender="lists@client.example")
    (mail,) = wait_until(lambda: in_maildir(appliance), 10, "mail in the default Maildir")
    assert mail.startswith(
        b"Return-Path: <sender@client.example>\nDelivered-To: example.org-alice@example.org\nReceived: "
    )
    wait_until(lambda: in_maildir(appliance, "lists"), 10, "mail in the list's Maildir")
    appliance.send("alice@example.org", text="refuse me")
    wait_until(lambda: appliance.log("failed"), 10, "a permanent failure")


def test_maildrop_and_reformail_filter(running) -> None:
    """The filter file is the user's own; reformail adds a field and hands on to maildrop."""
    need("maildrop", "maildrop")
    need("reformail", "maildrop")
    appliance = running(
        ['|reformail -A "X-Seen: by reformail" | maildrop filter'],
        {"filter": 'to "./Maildir/"\n'},
    )
    for folder in ("tmp", "new", "cur"):
        (home_of(appliance) / "Maildir" / folder).mkdir(parents=True)
    (home_of(appliance) / "filter").chmod(0o600)
    appliance.send("alice@example.org")
    (mail,) = wait_until(lambda: in_maildir(appliance), 10, f"the mail\n{appliance.log_file.read_text()[-1500:]}")
    assert b"X-Seen: by reformail\n" in mail


def test_safecat_writes_a_maildir(running) -> None:
    """Its arguments are the folders of a Maildir; what it says stands in the log."""
    need("safecat", "safecat")
    appliance = running(["|mkdir -p box/tmp box/new", '|(echo "$DTLINE" | head -1; cat) | safecat box/tmp box/new'])
    appliance.send("alice@example.org")
    (mail,) = wait_until(lambda: in_maildir(appliance, "box"), 10, "the mail")
    assert mail.startswith(b"Delivered-To: example.org-alice@example.org\nReceived: ")
    (line, _) = wait_until(lambda: appliance.log("delivered"), 10, "a line in the log")
    assert line["text"].endswith("did 0+0+2")


def test_a_shell_decides_by_sender_and_by_exit_status(running) -> None:
    """99 stops after a copy; 100 bounces with the program's words; 111 waits."""
    script = """#!/bin/sh
case "$SENDER" in
  spam@*) echo "We do not want this."; exit 100 ;;
  later@*) echo "Not now."; exit 111 ;;
  quiet@*) exit 99 ;;
esac
"""
    appliance = running(["|./decide", "./Maildir/"], {"decide": script})
    for sender in ("quiet@client.example", "later@client.example", "friend@client.example", "spam@example.org"):
        appliance.send("alice@example.org", sender=sender)
    wait_until(lambda: len(in_maildir(appliance)) == 1, 10, "the friend's mail")
    wait_until(lambda: appliance.log("deferred"), 10, "the deferral")
    assert appliance.log("deferred")[0]["text"] == "Not now."
    wait_until(lambda: appliance.log("failed"), 10, "the failure")
    failure = next(line for line in appliance.log("failed") if line["recipient"].endswith("alice@example.org"))
    assert failure["text"] == "We do not want this."
    assert in_maildir(appliance)[0].startswith(b"Return-Path: <friend@client.example>\n")


def test_a_program_puts_mail_into_the_queue(running) -> None:
    """The commands of qmail work inside a program: their token and control files are readable there."""
    need_command("forward")
    appliance = running(["|forward bob@example.org"])
    appliance.send("alice@example.org")
    (mail,) = wait_until(
        lambda: in_maildir(appliance, name="bob"), 10, f"the mail\n{appliance.log_file.read_text()[-1500:]}"
    )
    assert b"Delivered-To: example.org-alice@example.org" in mail


def need_command(name: str) -> None:
    if not PAPERPATH.with_name(name).exists():
        pytest.skip(f"{name} is not installed here")


@pytest.mark.parametrize("allowed", [False, True])
def test_a_mailbox_s_programs_use_the_network_only_if_the_yaml_says_so(running, tmp_path: Path, allowed: bool) -> None:
    """`programs: {network: true}` at the mailbox, in force without a restart."""
    code = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1]))).close()"
    with socket.create_server(("127.0.0.1", free_port())) as server:
        command = f'|python3 -c "{code}" {server.getsockname()[1]} && echo connected || exit 100'
        appliance = running([command], programs=", programs: {network: true}" if allowed else "")
        appliance.send("alice@example.org", sender="")
        if allowed:
            (line,) = wait_until(lambda: appliance.log("delivered"), 10, "the delivery")
            assert line["text"].startswith("connected")
        else:
            wait_until(lambda: appliance.log("failed"), 10, "the refusal")
            assert "not permitted" in appliance.log("failed")[0]["text"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("|sleep 600", "it ran longer than 2 s"),
        ("|head -c 1073741824 /dev/zero >big", ""),
        ("|f() { f | f & sleep 1; }; f; sleep 60", "it started more than 16 processes"),
    ],
)
def test_a_program_that_hangs_forks_or_writes_1_gib_loses_nothing(running, command: str, said: str) -> None:
    """The mail waits, the log says why, others' mail goes on, and the launcher lives."""
    limits = "programs: {time: 2s, processes: 16, file_size: 16MiB}"
    appliance = running([command], more=limits)
    launcher = [pid for name, pid in appliance.programs().items() if name.startswith("launcher")]
    appliance.send("alice@example.org")
    appliance.send("bob@example.org")
    wait_until(lambda: in_maildir(appliance, name="bob"), 2, "bob's mail")
    (deferred,) = wait_until(lambda: appliance.log("deferred"), 15, "the deferral")
    assert said in deferred["text"]
    assert len(appliance.queue()) == 1
    assert launcher == [pid for name, pid in appliance.programs().items() if name.startswith("launcher")]


def test_a_killed_launcher_is_started_again_and_nothing_is_lost(running) -> None:
    """A program in hand goes on under its minder; the next one finds a new launcher."""
    appliance = running(["|echo >begun; sleep 1", "./Maildir/"])
    appliance.send("alice@example.org")
    wait_until((home_of(appliance) / "begun").exists, 10, "the program")
    (launcher,) = [pid for name, pid in appliance.programs().items() if name.startswith("launcher")]
    os.kill(launcher, signal.SIGKILL)
    appliance.send("alice@example.org")
    wait_until(lambda: len(in_maildir(appliance)) == 2, 15, f"both\n{appliance.log_file.read_text()[-1500:]}")


def test_an_idle_launcher_costs_a_few_mib(running) -> None:
    """Its pages are the supervisor's, but for a few."""
    appliance = running(["|exit 0"])
    appliance.send("alice@example.org")
    wait_until(lambda: appliance.log("delivered"), 10, "the delivery")
    (launcher,) = [pid for name, pid in appliance.programs().items() if name.startswith("launcher")]
    try:
        rollup = Path(f"/proc/{launcher}/smaps_rollup").read_text()
    except PermissionError:
        pytest.skip("only root sees the memory of a program that is locked in")
    private = sum(
        int(line.split()[1]) for line in rollup.split("\n") if line.startswith(("Private_Clean", "Private_Dirty"))
    )
    assert private < 5 * 1024
