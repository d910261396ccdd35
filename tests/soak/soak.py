"""`make soak`: mail from all sides, faulty next hosts, kills, configuration changes and queue commands; then an audit.

    python tests/soak/soak.py --seconds 600 [--seed N] [--folder DIR]

Five clients send all the time and note what was accepted.  When the storm is over, what waits is tried again until only
silent.example's mail is left, and everything is counted:

    accepted = delivered + bounced + queued + dropped by hand        each letter byte for byte

Then silent.example begins to speak, and nothing may be left in the queue.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "end_to_end"))
from appliance_process import Appliance, free_port
from soak_audit import Audit, bounces, collect
from soak_hosts import NextHost
from soak_letters import Ledger
from soak_senders import Sender, by_qmtp, injected, one_by_one, pipelined
from soak_trouble import YAML, Storm, Trouble

TCPOK = Path(sys.executable).with_name("qmail-tcpok")
CALM = 300  # seconds that what waits may take when all is well


class Soak:
    """One run in a folder of its own."""

    def __init__(self, folder: Path, seed: int) -> None:
        random.seed(seed)
        self.hosts = {
            "partner": NextHost(""),
            "refusing": NextHost("554 after RCPT"),
            "silent": NextHost("never speaks"),
        }
        self.ledger = Ledger()
        ports = {"smtp": free_port(), "qmtp": free_port()}
        yaml = YAML.format(**ports, **{name: host.port for name, host in self.hosts.items()})
        self.appliance = Appliance(folder, yaml=yaml)
        self.appliance.port = ports["smtp"]
        self.appliance.start()
        self.trouble = Trouble(self.appliance, yaml, self.ledger)
        state = self.appliance.state
        self.senders = [
            Sender(one_by_one(ports["smtp"], "s", (0, 4000), 20), self.ledger, 0.2),
            Sender(one_by_one(ports["smtp"], "l", (70_000, 1_000_000), 2), self.ledger, 2.0),
            Sender(pipelined(ports["smtp"], 30), self.ledger, 0.6),
            Sender(injected(state), self.ledger, 0.5),
            Sender(by_qmtp(ports["qmtp"], 20), self.ledger, 0.6),
        ]

    def storm(self, seconds: float) -> None:
        """Senders and trouble."""
        for sender in self.senders:
            sender.start()
        storm = Storm(self.trouble, seconds)
        storm.start()
        storm.join()
        for sender in self.senders:
            sender.stop()
        for sender in self.senders:
            sender.join(120)
            assert not sender.is_alive()
            if sender.trouble is not None:
                raise sender.trouble
        if storm.broken is not None:
            raise storm.broken

    def calm(self, host: str, mood: str | None, left: str) -> Counter[str]:
        """A next host gets well; try all again until only addresses that end in `left` wait; how many of each."""
        self.hosts[host].mood = mood
        environment = {**os.environ, "PAPERPATH_STATE": str(self.appliance.state)}
        deadline = time.monotonic() + CALM
        while True:
            waiting = self.trouble.waiting()
            if all(left and address.endswith(left) for address in waiting) and self.appliance.answers():
                return waiting
            assert time.monotonic() < deadline, f"still waiting: {list(waiting.items())[:10]}"
            subprocess.run([TCPOK], env=environment, capture_output=True, check=False)
            self.trouble.queue("retry", "--all")
            time.sleep(0.5)

    def audit(self, queued: Counter[str]) -> Audit:
        """The account as it stands."""
        mail = self.appliance.state / "mail"
        unsaid = set().union(*(host.unsaid for host in self.hosts.values()))
        audit = Audit(self.ledger, collect(mail, self.hosts), bounces(mail), queued, unsaid)
        audit.account()
        audit.inspect()
        audit.explain(self.trouble.kills)
        return audit


def run(folder: Path, seconds: float, seed: int) -> dict[str, object]:
    """A whole soak; its figures."""
    soak = Soak(folder, seed)
    try:
        return _run(soak, seconds, seed)
    finally:
        if soak.appliance.process is not None and soak.appliance.process.poll() is None:
            soak.appliance.kill_all()


def _run(soak: Soak, seconds: float, seed: int) -> dict[str, object]:
    begin = time.monotonic()
    soak.storm(seconds)
    soak.trouble.over()
    at_rest = soak.calm("partner", None, "@silent.example")
    first = soak.audit(at_rest)
    soak.calm("silent", None, "")
    last = soak.audit(Counter())
    status = soak.appliance.stop(60)
    return {
        "seed": seed,
        "seconds": round(time.monotonic() - begin),
        "kills": dict(Counter(name for _, name in soak.trouble.kills).most_common()),
        "configurations": soak.trouble.configurations,
        "queue_commands": dict(soak.trouble.commands.most_common()),
        "letters_sent": soak.ledger.sent,
        "letters_accepted": len(soak.ledger.accepted),
        "deliveries": dict(first.counts),
        "in_the_end": dict(last.counts),
        "lost": first.lost + last.lost,
        "wrong": first.wrong + last.wrong,
        "duplicates": dict(last.duplicates.most_common()),
        "duplicates_without_a_reason": last.unexplained,
        "exit_status": status,
    }


def good(figures: dict[str, object]) -> bool:
    """Whether nothing is wrong with them."""
    wrong = ("lost", "wrong", "duplicates_without_a_reason", "exit_status")
    deliveries = figures["deliveries"]
    assert isinstance(deliveries, dict)
    ends = ("delivered", "bounced", "queued", "dropped by hand")
    return not any(figures[name] for name in wrong) and deliveries["accepted"] == sum(
        deliveries.get(e, 0) for e in ends
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--folder", type=Path, help="kept; default: a temporary one, removed if all was well")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="paperpath-soak-"))
    figures = run(folder / "appliance", args.seconds, args.seed)
    print(json.dumps(figures, indent=2))
    if not good(figures):
        print(f"NOT well; all of it is in {folder}", file=sys.stderr)
        return 1
    if args.folder is None:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
