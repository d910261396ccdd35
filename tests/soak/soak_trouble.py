"""What goes wrong meanwhile: kills of every program and of the whole tree, new configurations and broken ones, queue commands."""

import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

from appliance_process import PAPERPATH, Appliance, wait_until
from soak_letters import Ledger

TREE = "whole tree"
YAML = """\
version: 1
hostname: mx.example.org
listen:
  smtp: {{address: 127.0.0.1, port: {smtp}}}
  qmtp: {{address: 127.0.0.1, port: {qmtp}}}
domains:
  example.org:
    mailboxes:
      alice: {{}}
      bob: {{}}
      returns: {{}}
      desk: {{deliver: ["|mkdir -p in && cat >in/$$.part && mv in/$$.part in/$$.$(date +%s%N)"]}}
    aliases:
      postmaster: [returns]
      team: [alice, bob]
      abroad: [away@partner.example]
relay: {{allow_from: [127.0.0.1/32]}}
routes:
  - {{domain: partner.example, via: "smtp://127.0.0.1:{partner}"}}
  - {{domain: refusing.example, via: "smtp://127.0.0.1:{refusing}"}}
  - {{domain: silent.example, via: "smtp://127.0.0.1:{silent}"}}
control: {{timeoutremote: "3", timeoutconnect: "3"}}
"""
# what a configuration adds; the last ones are refused, and the one before stays in force
VARIANTS = (
    "",
    "bounces: {format: qmail}\n",
    "queue: {concurrency: {local: 3, remote: 5}}\n",
    "processes: {smtpd: 1, local: 2, remote: 2}\n",
    "log: {format: json}\nlimits: {recipients: 500}\n",
    "bounces: {report_after: 1m, delay_notice: never}\n",
    "nonsense: [1, 2\n",
    "bounces: {format: baroque}\n",
)


class Trouble:
    """Makes it, one thing after the other, and keeps what it did and when."""

    def __init__(self, appliance: Appliance, yaml: str, ledger: Ledger) -> None:
        self.appliance, self._yaml, self._ledger = appliance, yaml, ledger
        self.kills: list[tuple[float, str]] = []  # when, which program
        self.commands: Counter[str] = Counter()
        self.configurations = 0
        self._kinds = (self._kill, self._kill, self._kill, self._configure, self._command, self._command)

    def until(self, end: float) -> None:
        """Make trouble until a moment of the monotonic clock."""
        tree = time.monotonic() + 2
        while time.monotonic() < end:
            time.sleep(random.uniform(0.05, 0.6))
            if time.monotonic() > tree:
                self._kill_tree()
                tree = time.monotonic() + random.uniform(5, 30)
            else:
                random.choice(self._kinds)()
        self._kill_tree()

    def over(self) -> None:
        """The last configuration is a good one."""
        self.appliance.configure(self._yaml)
        wait_until(self.appliance.answers, 20, "a greeting at the end")

    def waiting(self) -> Counter[str]:
        """How often each address waits; what is held is released."""
        while (lines := self.listed()) is None:  # a program that was killed last may not be back yet
            time.sleep(0.1)
        for line in lines:
            if any(recipient["next"] == "held" for recipient in line["recipients"]):
                self.queue("release", line["message"])
        return Counter(recipient["address"] for line in lines for recipient in line["recipients"])

    def queue(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `paperpath queue`."""
        self.commands[words[0]] += 1
        command = [PAPERPATH, "queue", *words, "--state", self.appliance.state]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    def listed(self) -> list[dict] | None:
        """What waits, if the queue can be asked just now."""
        done = self.queue("list", "--json")
        return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else None

    def _kill(self) -> None:
        programs = self.appliance.programs()
        if not programs:
            return
        name, pid = random.choice(sorted(programs.items()))
        self.kills.append((time.time(), re.sub(r"(-\d+)?:.*", "", name)))
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            self.kills.pop()

    def _kill_tree(self) -> None:
        self.appliance.configure(self._yaml)  # nothing starts on a broken file
        pids = list(self.appliance.programs().values())
        self.kills.append((time.time(), TREE))
        self.appliance.kill_all()
        wait_until(lambda: not any(map(_lives, pids)), 20, "the end of all programs")
        self.appliance.start()

    def _configure(self) -> None:
        self.configurations += 1
        self.appliance.configure(self._yaml + random.choice(VARIANTS))

    def _command(self) -> None:
        verb = random.choice(("list", "show", "retry", "retry", "hold", "release", "drop", "health"))
        if verb == "health":
            self.commands[verb] += 1
            subprocess.run([PAPERPATH, "health", "--state", self.appliance.state], capture_output=True, check=False)
            return
        if verb == "retry":
            self.queue("retry", "--all")
            return
        lines = self.listed()
        if verb == "list" or not lines:
            return
        line = random.choice(lines)
        recipients = [recipient["address"] for recipient in line["recipients"]]
        if verb == "drop":  # only what would wait for ever; it may have been done although the answer was lost
            if not any(address.endswith("@silent.example") for address in recipients):
                return
            self._ledger.dropped.update(address.split("@")[0].removeprefix("to-") for address in recipients)
        self.queue(verb, line["message"])


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


class Storm(threading.Thread):
    """Trouble beside the senders."""

    def __init__(self, trouble: Trouble, seconds: float) -> None:
        super().__init__(daemon=True)
        self._trouble, self._seconds = trouble, seconds
        self.broken: BaseException | None = None

    def run(self) -> None:
        try:
            self._trouble.until(time.monotonic() + self._seconds)
        except BaseException as error:  # noqa: BLE001  # the main thread raises it
            self.broken = error
