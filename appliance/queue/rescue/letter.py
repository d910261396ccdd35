"""What the postmaster is told: a letter from the queue, with what can be read of a message below it."""

from pathlib import Path

from appliance import message_id
from appliance.message import qsbmf
from appliance.message.date import mail_date
from appliance.queue.bounce import Bounces
from appliance.queue.schedule import timestamp

BELOW = b"\n--- Below this line is what is left of the message.\n\n"
MOST = 1024 * 1024  # bytes of it


def compose(bounces: Bounces, subject: str, text: str, content: bytes, now: float) -> tuple[bytes, bytes, bytes]:
    """Sender, recipient and content; as a double bounce it goes to whoever gets those, and never comes back."""
    sender, recipient, origin = bounces.to_postmaster()
    head = b"Date: %b\nFrom: %b\nTo: %b\nSubject: %b\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n" % (
        mail_date(now), origin, recipient, subject.encode(),
    )  # fmt: skip
    kind = b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
    return sender, recipient, head + kind + text.encode() + (BELOW + content[:MOST] if content else b"")


def of_part(message: int, sender: bytes, lost: int, folder: Path) -> str:
    """About a message some of whose recipients are lost."""
    return (
        f"The message {message_id.text(message)}, accepted {timestamp(message_id.born(message))}\n"
        f"from <{sender.decode('utf-8', 'backslashreplace')}>, was in the queue when that was damaged.\n"
        f"The recipients of {lost} of its deliveries can't be read. They may have it, or not.\n"
        "Those that can be read get it now.\n\n"
        f"The damaged queue is kept in {folder}.\n"
    )


def beginning(path: Path) -> bytes:
    """The header in a body file; nothing, if that is lost, too."""
    try:
        with path.open("rb") as file:
            return qsbmf.header(file.read(qsbmf.HEADER))
    except OSError:
        return b"(its body file is lost)\n"
