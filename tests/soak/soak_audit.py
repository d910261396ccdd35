"""Every letter that was accepted is found: delivered byte for byte, bounced, queued or dropped by hand.

A copy too many needs a reason: a program was killed between the first one and the last, or the next host took the
message and never said so.
"""

import re
from collections import Counter, defaultdict
from pathlib import Path

from soak_hosts import NextHost
from soak_letters import BELONGS, TOKEN, Ledger
from soak_trouble import TREE

SLACK = 1.0  # seconds: a file's time is that of its last write, before it was renamed
# whose death repeats what: deliveries made but not reported; for mail that was forwarded, all of them
REPEATS = frozenset({"queue", "local", "remote", "launcher", "minder", TREE})
Found = dict[str, dict[str, list[tuple[float, bytes]]]]  # by place and token: when, what


def collect(mail: Path, hosts: dict[str, NextHost]) -> Found:
    """All that arrived anywhere."""
    found: Found = {name: dict(host.taken) for name, host in hosts.items()}
    for name, folder in {"alice": "Maildir/new", "bob": "Maildir/new", "desk": "in"}.items():
        found[name] = defaultdict(list)
        home = mail / "example.org" / name / folder
        for path in home.iterdir() if home.exists() else ():
            if path.name.endswith(".part"):  # its program was killed, and came back
                continue
            text = path.read_bytes()
            token = TOKEN.search(text.decode("latin-1").encode("latin-1"))
            assert token is not None, f"{path}: {text[:300]!r}"
            found[name][token[1].decode()].append((path.stat().st_mtime, text))
    return found


def bounces(mail: Path) -> dict[str, set[str]]:
    """By token: the recipients that a bounce names."""
    told: dict[str, set[str]] = defaultdict(set)
    home = mail / "example.org" / "returns" / "Maildir" / "new"
    for path in home.iterdir() if home.exists() else ():
        text = path.read_bytes()
        for token in TOKEN.findall(text):
            told[token.decode()].update(each.decode() for each in re.findall(rb"^<([^>\n]+)>:$", text, re.MULTILINE))
    return told


class Audit:
    """The account of a soak. queued: addresses that wait."""

    def __init__(
        self, ledger: Ledger, found: Found, told: dict[str, set[str]], queued: Counter[str], unsaid: set[str]
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.lost: list[str] = []
        self.wrong: list[str] = []  # where it does not belong, or not as it was sent
        self.unexplained: list[str] = []
        self.duplicates: Counter[str] = Counter()
        self._ledger, self._found, self._told, self._queued, self._unsaid = ledger, found, told, queued, unsaid

    def account(self) -> None:
        """Each accepted letter has one end at each of its places."""
        for letter in self._ledger.accepted.values():
            for place in BELONGS[letter.kind]:
                self.counts["accepted"] += 1
                end = self._end(letter.token, letter.address, place)
                self.counts[end] += 1
                if end == "lost":
                    self.lost.append(f"{letter.token} to {letter.address}, at {place}")

    def _end(self, token: str, address: str, place: str) -> str:
        if token in self._found[place]:
            return "delivered"
        if {address, "away@partner.example"} & self._told.get(token, set()):
            return "bounced"
        if self._queued[address]:
            return "queued"
        return "dropped by hand" if token in self._ledger.dropped else "lost"

    def inspect(self) -> None:
        """Each letter that arrived is the one that was sent, and belongs where it is."""
        ledger = self._ledger
        known = ledger.accepted | ledger.unsure | ledger.put_off
        for place, letters in self._found.items():
            for token, copies in letters.items():
                letter = known.get(token)
                if letter is None or place not in BELONGS[letter.kind]:
                    self.wrong.append(f"{token} at {place}")
                    continue
                self.counts["arrived although no answer came"] += token in ledger.unsure
                self.counts["arrived although the answer was: later"] += token in ledger.put_off
                self.wrong += [f"{token} at {place}: not as sent" for _, text in copies if not letter.is_whole(text)]

    def explain(self, kills: list[tuple[float, str]]) -> None:
        """Each copy too many has a reason."""
        for place, letters in self._found.items():
            for token, copies in letters.items():
                if len(copies) < 2:
                    continue
                letter = self._ledger.accepted.get(token)
                times = sorted(at for at, _ in copies)
                # before the answer came nobody knows when it was accepted
                begin = min(letter.at, times[0]) - SLACK if letter else 0.0
                reason = next((name for at, name in kills if begin <= at <= times[-1] and name in REPEATS), "")
                if token in self._unsaid and place in ("partner", "refusing", "silent"):
                    reason = "the next host took it and never said so"
                if reason:
                    self.duplicates[reason if " " in reason and reason != TREE else f"{reason} killed"] += (
                        len(copies) - 1
                    )
                else:
                    self.unexplained.append(f"{token} at {place}: {times}, accepted {letter and letter.at}")
