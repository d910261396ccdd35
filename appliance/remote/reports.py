"""What became of each recipient, in the words that go into the log and into a bounce.

Pure: replies in, reports out.  The classes are qmail's: below 400 accepted, 5xx permanent,
all else temporary; so is everything that is not a reply.
"""

import os

from appliance import address
from appliance.errors import MailError, Permanent, Result, Temporary
from appliance.lease import Delivery, Report
from appliance.remote.transaction import Transaction
from appliance.reply import Reply

SAID = 5000  # bytes of the peer's text that are kept, as in qmail
# a CR would become a line end when the bounce is sent on, an escape would reach the reader's terminal
_CLEAN = bytes.maketrans(bytes(range(9)) + bytes(range(11, 32)) + b"\x7f", b"?" * 31)


def said(reply: Reply) -> bytes:
    """What the peer said, as a line of its own."""
    return b"Remote host said: " + clean(reply.text)


def clean(text: bytes) -> bytes:
    """What a peer said, so that it can stand in a bounce and on a terminal."""
    return text[:SAID].translate(_CLEAN)


def failure(error: MailError) -> Report:
    """A failure before, or instead of, a dialogue."""
    return Report(error.result, f"{error.text}. (#{error.enhanced})\n".encode("ascii", "replace"))


def unreachable(name: str, cause: str | OSError) -> Report:
    """No connection to an address."""
    if isinstance(cause, OSError):
        cause = os.strerror(cause.errno) if cause.errno else str(cause)
    return failure(Temporary(451, "4.4.1", f"No connection to {name}: {cause}"))


def unsendable(delivery: Delivery, size: int, limit: int | None) -> Report | None:
    """Why a delivery can't even be begun, if so.

    limit: what the peer offers by SIZE (RFC 1870); None or 0: it knows none
    """
    if limit and size > limit:
        return failure(Permanent(552, "5.3.4", f"The message has {size} bytes, the next host takes {limit} at most"))
    if not all(map(address.sendable, (delivery.sender, *delivery.recipients))):  # it would be a command of its own
        return failure(Permanent(553, "5.1.3", "An address that would be read as something else can't be sent"))
    return None


def _result(reply: Reply) -> Result:
    return Result.PERMANENT if reply.code >= 500 else Result.TEMPORARY


def _refused(what: bytes, reply: Reply) -> Report:
    return Report(_result(reply), what + b"\n" + said(reply) + b"\n")


def reports(transaction: Transaction, host: bytes) -> list[Report]:
    """A report for each recipient; `host` names the peer (its IP address)."""
    mail, data, final = transaction.mail, transaction.data, transaction.final
    count = len(transaction.recipients)
    if mail is not None and mail.code >= 400:
        return [_refused(b"Connected to " + host + b" but the sender was rejected.", mail)] * count
    if final is not None and transaction.accepted:
        if final.code < 400:
            outcome = Report(Result.DONE, host + b" accepted message.\n" + said(final) + b"\n")
        else:
            outcome = _refused(host + b" failed after the message was sent.", final)
    elif data is not None and transaction.accepted and data.code >= 400:
        outcome = _refused(host + b" failed on the DATA command.", data)
    elif transaction.cause is not None or transaction.accepted:
        outcome = _interrupted(transaction, host)
    else:
        outcome = Report(Result.TEMPORARY, b"Giving up on " + host + b".\n")
    if transaction.accepted == count:
        return [outcome] * count
    refusals = [
        _recipient(reply, host, transaction.accepted) if reply.code >= 400 else outcome for reply in transaction.rcpts
    ]
    return refusals + [outcome] * (count - len(refusals))


def _recipient(reply: Reply, host: bytes, accepted: int) -> Report:
    text = host + b" does not like recipient.\n" + said(reply) + b"\nGiving up on " + host + b".\n"
    # RFC 5321 section 4.5.3.1.10: beside accepted ones 552 may mean too many; the next attempt has fewer
    return Report(Result.TEMPORARY if reply.code == 552 and accepted else _result(reply), text)


def _interrupted(transaction: Transaction, host: bytes) -> Report:
    cause = transaction.cause or "the answer to DATA makes no sense"
    return interrupted(host, cause, duplicate=transaction.dot_sent)


def interrupted(host: bytes, cause: str, *, duplicate: bool) -> Report:
    """The connection broke in the middle. duplicate: the peer may have the message."""
    text = b"Connected to " + host + b" but the connection died: " + cause.encode("ascii", "replace") + b". "
    if duplicate:  # RFC 5321 section 4.5.4.2: although it could not say so
        text += b"Possible duplicate! "
    return Report(Result.TEMPORARY, text + b"(#4.4.2)\n")
