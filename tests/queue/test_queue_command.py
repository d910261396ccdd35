"""`paperpath queue`: the same answer from a running queue and from its file."""

import json

import pytest

from appliance import intake, lease
from appliance.cli.main import main
from appliance.errors import Result

REPORT = [lease.Report(Result.TEMPORARY, b"mailbox \x1b[31mbusy\n"), lease.Report(Result.DONE)]


@pytest.fixture
def deferred(running):
    """A queue with one message, one of whose two recipients is waiting; the message's id."""
    with running.caller("intake", "smtpd") as client, running.caller("lease", "local") as worker:
        client.say(intake.request(b"bob@x.example", [b"a@example.org", b"b@example.org"], b"Subject: hello\n\ntext\n"))
        name = client.hear()[1:].decode()
        worker.say(lease.encode_credit(1))
        worker.say(lease.encode_report(lease.decode_delivery(worker.hear()).id, REPORT))
        running.wait_for(lambda: running.events("deferred"))
    return name


@pytest.mark.parametrize("stopped", [False, True])
def test_list_and_show(running, deferred, capsys, stopped):
    """Both tell what waits, where, since when and why; the list ends with how many and how old."""
    if stopped:
        running.stop()
    state = ["--state", str(running.state.root)]
    assert main(["queue", "list", *state, "--json"]) == 0
    (item,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (item["message"], item["sender"]) == (deferred, "bob@x.example")
    (recipient,) = item["recipients"]
    assert (recipient["address"], recipient["channel"], recipient["attempts"]) == (
        "a@example.org",
        "local",
        1,
    )
    assert main(["queue", "list", *state]) == 0
    table = capsys.readouterr().out
    assert deferred in table
    assert "busy" in table
    assert "\x1b" not in table
    assert table.splitlines()[-1].startswith("messages: 1, the oldest ")
    assert main(["queue", "show", deferred, *state]) == 0
    page = capsys.readouterr().out
    assert "Subject: hello" in page
    assert "done        b@example.org" in page
    assert "text" not in page


def test_exit_statuses(running, capsys):
    """0 for an empty queue, 1 for an unknown message, 2 for a mistyped command, 111 for no queue at all."""
    state = ["--state", str(running.state.root)]
    assert main(["queue", "list", *state]) == 0
    assert "empty" in capsys.readouterr().out
    assert main(["queue", "show", "1k0vnjfcffm", *state]) == 1
    with pytest.raises(SystemExit, match="2"):
        main(["queue", "show", "not an id!", *state])
    with pytest.raises(SystemExit, match="2"):
        main(["queue", *state])
    assert main(["queue", "list", "--state", str(running.state.root / "nowhere")]) == 111
    assert "does not run" in capsys.readouterr().err


def test_long_list_is_streamed(running, capsys):
    """A queue of more messages than one page is listed completely, in order."""
    with running.caller("intake", "smtpd") as client:
        client.say(intake.request(b"", [b"a@example.org"], b"x: y\n\n") * 1200)
        names = [client.hear()[1:].decode() for _ in range(1200)]
    assert main(["queue", "list", "--json", "--state", str(running.state.root)]) == 0
    assert [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()] == names
