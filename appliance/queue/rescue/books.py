"""The account that is kept of a recovery, in files of the folder, so that it goes on where it broke off.

found   what could be read and what not (JSON)       fed    the last message that is back, how many are
lost    recipients whose message is lost             parts  messages some of whose recipients are lost; `told`
report  the end of it, for people
"""

import json
import os
from pathlib import Path
from typing import Any

import apsw

from appliance import message_id, safeio
from appliance.queue import journal
from appliance.queue.record import legible
from appliance.queue.rescue import parts
from appliance.queue.rescue.salvage import Found
from appliance.queue.schedule import timestamp

LETTERS = 100  # messages in part that the postmaster gets one by one
_PLACES = 50  # lines about lost places


class Books:
    """What is known of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.known: dict[str, Any] = {}
        self.fed, self.count = _numbers(folder / "fed")
        self.again = (folder / "again").exists()  # somebody wants all of it once more
        self.told, _ = _numbers(folder / "told")
        self.before, _ = _numbers(folder / "before")  # all ids of the queue that took its place are higher
        if (folder / "found").exists() and (folder / "recovered.sqlite").exists():
            self.known = json.loads((folder / "found").read_text())

    def begin(self, found: Found, target: Path) -> None:
        """Look at what was read. Raises OSError, apsw.Error."""
        connection = apsw.Connection(str(target))
        try:
            adopted, lost = parts.adopt(connection, self._folder)
            short = parts.short(connection, self._folder, found)
        finally:
            connection.close()
        self.known = {
            "damage": found.damage, "places": [list(place) for place in found.lost], "loose": found.loose,
            "sure": found.sure, "gaps": [list(gap) for gap in found.gaps], "last": found.last,
            "expected": found.expected, "read": found.read, "behind": found.behind, "alone": found.alone, "adopted": adopted, "lost": lost, "short": short,
        }  # fmt: skip
        self._write("found", json.dumps(self.known))

    @property
    def renumber(self) -> bool:
        """Whether the queue may have given the same ids to others meanwhile."""
        return int(self.known["last"]) > self.before

    def mark(self, message: int, count: int) -> None:
        """All up to this message are back. Raises OSError."""
        self.fed, self.count = message, self.count + count
        self._write("fed", f"{self.fed} {self.count}")

    def mark_told(self, message: int) -> None:
        """The postmaster has all up to this one. Raises OSError."""
        self.told = message
        self._write("told", f"{message} 0")

    def end(self, text: str) -> None:
        """It is done: the database that was made on the way goes, unless somebody needs it still. Raises OSError."""
        if self.known["short"] <= LETTERS:
            for name in ("recovered.sqlite", "recovered.sqlite-wal"):
                (self._folder / name).unlink(missing_ok=True)
        self._write("report", text)

    def report(self) -> str:
        """What has happened, what is lost for sure, what is kept where, and what to type."""
        known, folder = self.known, self._folder
        why = (folder / "reason").read_text()
        lines = [
            f"Damage was found in the queue: {why}.",
            "",
            f"New mail was accepted all the time. {self.count} messages could be read and are in the queue again.",
            *(f"Found while reading: {each}." for each in known["damage"]),
            "",
            *self._lost(),
            "",
            f"All files are kept as they were found, in {folder}.",
            "When nobody needs them any more:",
            f"    rm -r {folder}",
            "To read them again after they were mended by other means:",
            f"    paperpath queue recover {folder.name} --again",
            "A disk that damages files does it again: look at the kernel's log (dmesg) and at `smartctl -a`.",
        ]
        return "\n".join(lines) + "\n"

    def _lost(self) -> list[str]:
        known = self.known
        whole = known["alone"] or (known["expected"] is not None and known["read"] >= known["expected"])
        whole = whole and not known["behind"]
        hurt = [name for name, is_it in (("message", not whole), ("delivery", known["short"])) if is_it]
        places = [place for place in known["places"] if place[0] in hurt]
        if whole and not (known["gaps"] or known["lost"] or known["short"]):
            return ["Nothing is known to be lost."]
        lines = [_place(*place) for place in places[:_PLACES]]
        if len(places) > _PLACES:
            lines.append(f"  and {len(places) - _PLACES} places more, in the file found.")
        lines += _records(self._folder, known["gaps"])
        if known["lost"]:
            lines.append(
                f"{known['lost']} messages are lost of which the recipients are known: the file lost has them."
            )
        if known["adopted"]:
            lines.append(f"{known['adopted']} messages lost their sender: they are delivered, and bounce to nobody.")
        if known["short"]:
            lines.append(
                f"{known['short']} messages lost recipients: the postmaster gets each of them"
                + (f"; the first {LETTERS} by mail, the file parts has all" if known["short"] > LETTERS else "")
                + "."
            )
        if known["behind"]:
            lines.append("Lost: some of what was committed last; how much that is, nobody knows.")
        elif known["expected"] is None:
            lines.append("How much of the database is lost is not known: its own count can't be read.")
        elif not whole:
            missing = known["expected"] - known["read"]
            lines.append(f"Lost: {missing} of {known['expected']} messages that were in the queue.")
        if not known["sure"]:
            lines.append("Mail that had been delivered may come back: what was free in the database is not known.")
        lines.append("Messages whose body file is missing or cut short are bounced to their senders.")
        return lines

    def _write(self, name: str, text: str) -> None:
        new = self._folder / f"{name}.new"
        new.unlink(missing_ok=True)
        safeio.write_file(new, [text.encode()], 0o600)
        os.replace(new, self._folder / name)
        safeio.sync_directory(self._folder)


def _place(table: str, low: int, high: int) -> str:
    what = "messages" if table == "message" else "recipients"
    since = timestamp(message_id.born(low)) if low else "the beginning"
    until = timestamp(message_id.born(high)) if high < 1 << 62 else "the end"
    return f"Lost: {what} accepted between {since} and {until}, some or all of them."


def _records(folder: Path, gaps: list[list[int]]) -> list[str]:
    """What damaged records of the journal seem to hold."""
    lines: list[str] = []
    if not gaps:
        return lines
    name = "damaged" if (folder / "damaged").exists() else "journal"
    with (folder / name).open("rb") as file:
        for start, end in gaps[:_PLACES]:
            lines.append(f"Lost: {end - start} bytes of the journal at {start}, with what was committed there.")
            file.seek(start + journal.HEAD)
            lines += [
                f"  it names {parts.addresses(row.recipients)}, message {message_id.text(row.message)}"
                for row in legible(file.read(end - start - journal.HEAD))[:_PLACES]
            ]
    return lines


def _numbers(path: Path) -> tuple[int, int]:
    try:
        first, second = path.read_text().split()
    except (FileNotFoundError, ValueError):
        return 0, 0
    return int(first), int(second)
