"""Programs of dot-qmail files in the hardened container: its shell and Python are all they have."""

import pytest
from containers import wait_until

pytestmark = pytest.mark.container

ALIASES = """\
      forwarded: ['|test "$EXT" = forwarded && read me </var/qmail/control/me && /var/lib/qmail/bin/forward alice@example.org']
      hangs: ['|while :; do :; done']
      calls: ['|python3 -c "import socket; socket.create_connection((\\"127.0.0.1\\", 2525))"; exit 111']
"""


def test_programs_run_are_ended_and_have_no_network(container):
    """Any uid, no capabilities, a read-only image: the sandbox of a program needs none of them."""
    made = container(aliases=ALIASES, more="programs: {time: 2s}").start()
    for name in ("forwarded", "hangs", "calls"):
        made.send(f"{name}@example.org", f"mail that is {name}")
    (mail,) = wait_until(lambda: made.mailbox("alice"), 20, lambda: made.output()[-3000:])
    assert "Delivered-To: example.org-forwarded@example.org" in mail
    wait_until(lambda: len(made.log("deferred")) == 2, 20, lambda: made.output()[-3000:])
    told = {str(line["recipient"]): str(line["text"]) for line in made.log("deferred")}
    assert "PermissionError" in told["calls@example.org"]
    assert "killed by signal" in told["hangs@example.org"] or "ran longer than 2 s" in told["hangs@example.org"]
    assert not [line for line in made.log("warning") if line["program"] == "launcher"]
