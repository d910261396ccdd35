"""`qmail-queue`: a message on descriptor 0, its envelope on descriptor 1, an exit status (contracts: qmail-queue).

No option, no variable but $PAPERPATH_STATE, no text on stdout: other programs start it.
"""

import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

from appliance import command, enqueue, envelope, injection
from appliance.errors import Permanent, Temporary

NAME = "qmail-queue"
_DAY = 86400  # seconds for all of it
# exit statuses, as whoever starts it knows them
QUEUED, TOO_LONG, REFUSED, NO_MEMORY, TIMEOUT, UNREADABLE, LATER, BUG, MALFORMED = 0, 11, 31, 51, 52, 54, 71, 81, 91
_IGNORED = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGVTALRM),
    *(signal.SIGPROF, signal.SIGXCPU, signal.SIGXFSZ, signal.SIGPIPE),
)


class Stop(Exception):
    """The end of a run: its exit status, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def main() -> int:
    """Queue what is on the two descriptors; 0, or an exit status of the table."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(_DAY)
    try:
        for fd in (0, 1):
            _open(fd)
        queue(command.read(0), command.read(1))
    except Stop as stop:
        status, why = stop.status, str(stop)
    except Permanent as error:
        status, why = (TOO_LONG if error.enhanced == "5.1.3" else REFUSED), error.text
    except Temporary as error:
        status, why = LATER, f"{error.text}: {error.cause}"
    except MemoryError:
        status, why = NO_MEMORY, "out of memory"
    except Exception as error:  # noqa: BLE001  # what nobody foresaw is temporary
        status, why = BUG, f"internal bug: {error!r}"
    else:
        return QUEUED
    command.say(NAME, why)
    return status


def _late(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # what the library calls it with
    raise Stop(TIMEOUT, "a day has passed, and the message is not complete")


def _open(fd: int) -> None:
    """A descriptor that is closed would soon be our own socket."""
    try:
        os.fstat(fd)
    except OSError as error:
        raise Stop(UNREADABLE, f"descriptor {fd} is closed") from error


def queue(message: Iterator[bytes], addresses: Iterator[bytes]) -> str:
    """Queue a message; its id. Raises Stop, Temporary, Permanent."""
    state = command.state()

    def letter() -> envelope.Envelope:
        return read_envelope(_readable(addresses))

    return enqueue.submit_late(state, injection.hello(state), _readable(message), letter)


def _readable(pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    except OSError as error:
        raise Stop(UNREADABLE, f"cannot read: {error.strerror}") from error


def read_envelope(pieces: Iterator[bytes]) -> envelope.Envelope:
    """The envelope, up to the NUL that ends it; what follows is not looked at. Raises Stop."""
    data = bytearray()
    end = -1
    for piece in pieces:
        start = max(len(data) - 1, 0)
        data += piece
        end = data.find(b"\0\0", start)
        if end >= 0:
            break
        if len(data) - (data.rfind(b"\0") + 1) > envelope.ADDRESS_LIMIT + 1:
            break
        if len(data) > enqueue.ENVELOPE:
            raise Stop(REFUSED, f"too many recipients: more than {enqueue.ENVELOPE} bytes of addresses")
    *whole, partial = bytes(data if end < 0 else data[: end + 1]).split(b"\0")
    for number, record in enumerate(whole if end >= 0 or not partial else [*whole, partial]):
        if record[:1] != (b"T" if number else b"F"):
            raise Stop(MALFORMED, "the envelope is malformed")
        if len(record) > envelope.ADDRESS_LIMIT + 1:
            raise Stop(TOO_LONG, f"an address is longer than {envelope.ADDRESS_LIMIT} bytes")
    if end < 0:
        raise Stop(UNREADABLE, "the envelope does not come to its end")
    return envelope.Envelope(whole[0][1:], tuple([record[1:] for record in whole[1:]]))


if __name__ == "__main__":
    sys.exit(main())
