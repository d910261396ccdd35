"""A damaged database: mail waits at its sender, and the log says why."""

import pytest
from smtpd_program import Smtpd

DAMAGED = "\x7f" * 2100  # pointers that lead out of the file


@pytest.mark.parametrize("smtpd", [{"morercpthosts.cdb": DAMAGED}], indirect=True)
def test_a_damaged_morercpthosts_defers(smtpd: Smtpd) -> None:
    """Only mail for domains that rcpthosts does not have is concerned."""
    with smtpd.connect() as client:
        assert client.reply()[:3] == b"220"
        assert client.say(b"HELO c")[:3] == b"250"
        assert client.say(b"MAIL FROM:<s@example.net>")[:3] == b"250"
        assert client.say(b"RCPT TO:<alice@example.org>")[:3] == b"250"
        assert client.say(b"RCPT TO:<x@elsewhere.example>")[:3] in (b"421", b"451")
    assert "damaged cdb" in str(smtpd.wait_for("trouble"))
