"""What must be there after the power came back: each message that was answered 250, for each of its recipients."""

import re
from pathlib import Path

from power_letters import SENDER, letter
from power_queue import start

from appliance.message import mbox
from appliance.queue.journal import SIZE
from appliance.queue.rescue import aside
from appliance.queue.store import recipients
from appliance.state import State

TOKEN = re.compile(rb"^Subject: token-([0-9]+)-\n\n", re.MULTILINE)


def judge(root: Path, answered: list[int]) -> None:
    """Start the queue on what is left. Raises AssertionError if something is lost or torn."""
    there = _waiting(State(root)) | _delivered(root)
    for number in answered:
        for one in letter(number)[1]:
            assert (number, one) in there, f"message {number} for {one} is lost"


def _waiting(state: State) -> set[tuple[int, str]]:
    """What the queue has, and for whom; each whole."""
    found = set()
    store = start(state, SIZE)
    try:
        assert not aside.folders(state.queue), "a queue was taken for damaged"
        for item in store.listing(0, 10_000):
            content = store.show(item.message.id)[1]
            if content is None:
                content = (state.bodies / str(item.message.id)).read_bytes()
            if item.message.sender != SENDER.encode():
                continue
            number = _whole(content)
            for delivery in item.deliveries:
                for one in recipients(delivery.recipients)[0]:
                    found.add((number, one.removeprefix(b"example.org-").decode()))
    finally:
        store.close()
    return found


def _delivered(root: Path) -> set[tuple[int, str]]:
    """What mailboxes have; each whole, but for what a cut left at the end of an mbox."""
    found = set()
    domain = root / "mail/example.org"
    for path in domain.glob("*/Maildir/new/*"):
        found.add((_whole(path.read_bytes()), f"{path.parts[-4]}@example.org"))
    for path in domain.glob("*/mbox"):
        data = path.read_bytes()
        for match in TOKEN.finditer(data):
            number = int(match[1])
            if data.startswith(b"".join(mbox.quoted([letter(number)[2]])), match.start()):
                found.add((number, f"{path.parts[-2]}@example.org"))
    return found


def _whole(content: bytes) -> int:
    """Which message it is. Raises AssertionError if it is not all of it."""
    match = TOKEN.search(content)
    assert match is not None, f"not one of our messages: {content[:200]!r}"
    number = int(match[1])
    assert content.endswith(letter(number)[2]), f"message {number} is torn"
    return number
