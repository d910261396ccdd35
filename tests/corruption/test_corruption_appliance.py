"""The whole appliance on a damaged queue: it greets, takes mail, and the postmaster reads what has happened."""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "end_to_end"))
from appliance_process import PAPERPATH, Appliance, wait_until
from corruption_parts import overwrite

ROUTES = 'routes:\n  - {domain: "*", via: "smtp://127.0.0.1:9"}\nrelay: {allow_from: [127.0.0.0/8]}'


def test_damage_between_two_runs(tmp_path: Path) -> None:
    """Mail for a host that does not answer waits in a database whose first pages are lost: it is there afterwards."""
    appliance = Appliance(tmp_path, ROUTES).start()
    try:
        waiting = [appliance.send("carol@elsewhere.example") for _ in range(20)]
        assert appliance.stop() == 0
        overwrite(appliance.state / "queue" / "queue.sqlite", 0, bytes(2 * 16384))
        appliance.start()
        appliance.send("bob@example.org", text="new mail")
        wait_until(lambda: any(b"new mail" in mail for mail in appliance.mailbox("bob")), 10, "new mail in the mailbox")
        wait_until(
            lambda: any(b"Damage was found in the queue" in mail for mail in appliance.mailbox("alice")),
            20,
            "the letter",
        )
        asked = [PAPERPATH, "queue", "list", "--state", appliance.state]
        listed = subprocess.run(asked, capture_output=True, text=True, check=True)
        assert all(name in listed.stdout for name in waiting)
        assert "damage was found in the queue; read its report" in listed.stderr
        command = [PAPERPATH, "health", "--state", appliance.state]

        def well() -> str:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            return "" if done.returncode else done.stdout

        assert "damage was found" in str(wait_until(well, 10, "health"))
    finally:
        appliance.stop()
