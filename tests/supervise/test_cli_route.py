"""`paperpath route`: what would happen to mail, for a host whose YAML was compiled and which does not run."""

from pathlib import Path

import pytest

from appliance.cli.main import main

YAML = """\
version: 1
hostname: mx.example.org
domains:
  example.org:
    mailboxes:
      alice: {deliver: ["|echo hi", "./Mailbox", "./Maildir/", "&x@elsewhere.example"]}
      bob: {}
    aliases:
      postmaster: [alice, bob]
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with a generation."""
    (tmp_path / "mail.yaml").write_text(YAML)
    generation = tmp_path / "state/generations/g1"
    assert main(["compile", str(tmp_path / "mail.yaml"), "--out", str(generation)]) == 0
    (tmp_path / "state/generations/active").symlink_to("g1")
    return tmp_path / "state"


@pytest.mark.parametrize(
    ("address", "status", "lines"),
    [
        (
            "alice@example.org",
            0,
            [
                "local example.org-alice@example.org",
                "program echo hi",
                "mbox HOME/alice/Mailbox",
                "maildir HOME/alice/Maildir",
                "forward x@elsewhere.example",
                "did 2+1+1",
            ],
        ),
        ("BOB@Example.org", 0, ["local example.org-BOB@Example.org", "maildir HOME/bob/Maildir", "did 1+0+0"]),
        (
            "postmaster@example.org",
            0,
            [
                "local example.org-postmaster@example.org",
                "forward alice@example.org",
                "forward bob@example.org",
                "did 0+2+0",
            ],
        ),
        ("x@elsewhere.example", 0, ["remote elsewhere.example"]),
        (
            "nobody@example.org",
            100,
            ["local example.org-nobody@example.org", "550 5.1.1 no mailbox here by that name"],
        ),
    ],
)
def test_route_tells_what_would_happen(
    state: Path, capsys: pytest.CaptureFixture[str], address: str, status: int, lines: list[str]
) -> None:
    """The lines of qmail-local -n; nothing is done."""
    capsys.readouterr()
    assert main(["route", address, "--state", str(state)]) == status
    expected = [line.replace("HOME", str(state / "mail/example.org")) for line in lines]
    assert capsys.readouterr().out.splitlines() == expected
    assert not (state / "mail").exists()


def test_route_of_a_home_that_everybody_may_write_waits(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a delivery would: temporary, 111."""
    home = state / "mail/example.org/alice"
    home.mkdir(parents=True)
    home.chmod(0o777)
    assert main(["route", "alice@example.org", "--state", str(state)]) == 111
    assert "451 4.7.0" in capsys.readouterr().out
