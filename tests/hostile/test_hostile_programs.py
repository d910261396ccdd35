"""A mailbox's program that submits mail without end: what ends it, and who is served meanwhile."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "end_to_end"))
from appliance_process import Appliance, wait_until

YAML = """\
version: 1
hostname: mx.example.org
listen:
  smtp: {{address: 127.0.0.1, port: {port}}}
domains:
  example.org:
    mailboxes:
      alice: {{deliver: ["|sh flood"]}}
      bob: {{}}
    aliases: {{postmaster: [bob]}}
routes: [{{domain: "*", via: "smtp://127.0.0.1:9"}}]  # nobody listens there: what is submitted stays
queue: {{size: 8MiB}}
"""
FLOOD = """\
submitted=0
while (echo; yes | head -c 400000) | sendmail carol@elsewhere.example 2>told; do submitted=$((submitted + 1)); done
(echo; yes | head -c 400000) | sendmail carol@elsewhere.example 2>>told
echo "$submitted $?" >ending && mv ending ended
"""


def test_a_program_that_submits_mail_without_end_fills_the_queue_but_for_the_network_s_part(tmp_path: Path) -> None:
    """`sendmail` exits 111 when the queue has queue.size less an eighth; mail from the network is taken and delivered."""
    host = Appliance(tmp_path / "host", yaml="version: 1")
    host.configure(YAML.format(port=host.port))
    home = host.state / "mail" / "example.org" / "alice"
    home.mkdir(parents=True, mode=0o700)
    (home / "flood").write_text(FLOOD)
    host.start()
    try:
        host.send("alice@example.org")
        wait_until((home / "ended").exists, 40, "the queue to refuse its mail")
        submitted, status = map(int, (home / "ended").read_text().split())
        assert status == 111
        assert "no room" in (home / "told").read_text()
        assert 10 <= submitted <= 18  # of 400 kB, in 7 MiB
        host.send("bob@example.org", text="x" * 100)
        wait_until(lambda: host.mailbox("bob"), 20, "mail from the network")
    finally:
        host.stop()
