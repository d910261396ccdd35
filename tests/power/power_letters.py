"""The messages of `make crash-power`, which those who send and those who look both know."""

from random import Random

SENDER = "carol@elsewhere.example"
MARK = "answered-"
RECIPIENTS = (
    ["alice@example.org"],
    ["bob@example.org", "alice@example.org"],
    ["dan@far.example"],  # who can't be reached: it waits in the queue
    ["box@example.org"],
    ["bob@example.org", "erin@far.example"],
)
SIZES = (500, 3000, 20_000, 150_000)


def letter(number: int) -> tuple[str, list[str], bytes]:
    """Sender, recipients and content of a message, with LF."""
    text = Random(number).randbytes(SIZES[number % 4] // 2).hex()
    lines = "\n".join(text[at : at + 70] for at in range(0, len(text), 70))
    return SENDER, RECIPIENTS[number % 5], f"Subject: token-{number}-\n\n{lines}\n".encode()
