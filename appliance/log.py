"""The vocabulary of the log: one function per event, one JSON object per line (or a line of qmail's), to stdout.

Every line has `time` (RFC 3339, UTC), `program`, `event`; every line about a message has
`message`.  A log write never blocks and never fails a mail: lines wait in memory while the
reader is slow, and beyond a limit they are dropped and counted.  What strangers can cause without end is counted,
too, instead of written again and again (`log_flood.py`); a line about a message in the queue never is.
"""

import os
import time
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as _quote

from appliance.log_flood import Flood
from appliance.log_writer import Writer as _Writer

_VALUES = 3750  # of a line's 4,096 bytes, for its values: a longer line would block a pipe that is nearly full

Value = str | bytes | int | float | None


_writer = _Writer()
_flood = Flood()
_wait: Callable[[float, Callable[[], None]], object] | None = None


def setup(
    program: str,
    later: Callable[[Callable[[], None]], object] | None = None,
    fd: int = 1,
    wait: Callable[[float, Callable[[], None]], object] | None = None,
) -> None:
    """Name the program in every line from here on.

    later: `loop.call_soon` of a program with an event loop: the lines of one turn leave in one
    write.  Without it each line is written at once.
    wait: its `loop.call_later`: what was counted is told in time.  Without it, with the next line that strangers cause.
    """
    global _flood, _wait  # one log a process
    _flood, _wait = Flood(), wait
    _writer.program = program
    _writer.fd = fd
    _writer.later = None if later is None else lambda: later(_writer.flush)


def follow(form: bytes | None) -> None:
    """Write in the form that a generation asks for: `qmail`, or else JSON."""
    _writer.qmail = form == b"qmail"


def said(text: str) -> None:
    """queue: a line in qmail-send's words, if the log has that form."""
    if _writer.qmail:
        _writer.add("", text)


def flush() -> None:
    """Write what waits; called before a program ends."""
    _writer.flush()


def _text(value: Value, limit: int = _VALUES // 5) -> str:
    """The value as JSON, at most `limit` characters of it."""
    if isinstance(value, bytes):
        text = value.decode("utf-8", "backslashreplace")
    elif isinstance(value, str):
        text = value.encode("utf-8", "backslashreplace").decode()
    elif value is None:
        return "null"
    else:
        return str(round(value, 3)) if isinstance(value, float) else str(int(value))
    quoted = _quote(text)
    while len(quoted) > limit:
        text = text[: len(text) * (limit - 5) // len(quoted)]
        quoted = _quote(text + "...")
    return quoted


def _emit(event: str, **fields: Value) -> None:
    limit = _VALUES // len(fields)
    _writer.add(event, "".join([f', "{name}": {_text(value, limit)}' for name, value in fields.items()]))


def _emit_unless_flooded(event: str, who: str, **fields: Value) -> None:
    """A line that a stranger can cause: `who` has so many of them a minute, everybody together so many more."""
    now = time.monotonic()
    _tell_repeated(now)
    if _flood.passes(event, who, now):
        _emit(event, **fields)
    elif _flood.counted == 1 and _wait is not None:
        _wait(_flood.window, lambda: _tell_repeated(time.monotonic()))


def _tell_repeated(now: float) -> None:
    for repeated in _flood.ended(now):
        _emit("repeated", **repeated._asdict())


# -- programs ---------------------------------------------------------------------------


def started(configuration: str, **more: Value) -> None:
    """A program is ready to work; `configuration` is the hash of the generation in force."""
    _emit("started", pid=os.getpid(), configuration=configuration, **more)


def stopping(reason: str) -> None:
    """A program begins an orderly stop."""
    _emit("stopping", reason=reason)


def stopped() -> None:
    """A program has finished its work and ends."""
    _tell_repeated(float("inf"))
    _emit("stopped", pid=os.getpid())


def exited(name: str, pid: int, status: str) -> None:
    """The supervisor saw a program end; it will start it again unless it is stopping."""
    _emit("exited", name=name, pid=pid, status=status)


def trouble(what: str, cause: object) -> None:
    """Something failed that should not; what was done about it is in `what`."""
    _emit_unless_flooded("trouble", what, what=what, cause=str(cause))


def warning(what: str) -> None:
    """Somebody should read this, and perhaps change something."""
    _emit_unless_flooded("warning", what, what=what)


# -- configuration ----------------------------------------------------------------------


def activated(configuration: str, previous: str | None) -> None:
    """A generation is in force from here on."""
    _emit("activated", configuration=configuration, previous=previous)


def refused_configuration(error: str, configuration: str | None) -> None:
    """A changed YAML has this error (a line each); `configuration` stays in force."""
    _emit("configuration_refused", error=error, configuration=configuration)


def configuration_warning(text: str) -> None:
    """The YAML is valid, and yet its owner should read this."""
    _emit("configuration_warning", text=text)


# -- people who fetch their mail --------------------------------------------------------


def login(client: str, user: bytes, messages: int) -> None:
    """pop3d: a client has logged in and opened its mailbox."""
    _emit("login", client=client, user=user, messages=messages)


def login_failed(client: str, user: bytes, how: str, cause: str) -> None:
    """pop3d: a client was told no, because of its password."""
    _emit_unless_flooded("login_failed", client, client=client, user=user, how=how, cause=cause)


def fetched(client: str, user: bytes, messages: int, size: int, removed: int, ended: str) -> None:
    """pop3d: a session after a log-in has ended; what was sent to it whole, and what it removed."""
    _emit("fetched", client=client, user=user, messages=messages, size=size, removed=removed, ended=ended)


# -- a message's way, in its order ----------------------------------------------------------


def received(message: str, client: str, helo: bytes, sender: bytes, recipients: int, size: int) -> None:
    """smtpd: the queue has the message, the client is told 250 (hot path: formatted by hand)."""
    _writer.add(
        "received",
        f', "message": "{message}", "client": "{client}", "helo": {_text(helo)}, "sender": {_text(sender)}, '
        f'"recipients": {recipients}, "size": {size}',
    )


def refused(
    client: str, helo: bytes, sender: bytes | None, recipient: bytes | None, reply: str, cause: object = None
) -> None:
    """smtpd: a client was told no; `reply` is what it saw, `cause` what it did not."""
    _emit_unless_flooded(
        "refused",
        client,
        client=client,
        helo=helo,
        sender=sender,
        recipient=recipient,
        reply=reply,
        cause=None if cause is None else str(cause),
    )


def session_ended(client: str, reason: str) -> None:
    """smtpd: a session ended otherwise than by QUIT (timeout, disconnect in DATA, garbage)."""
    _emit_unless_flooded("session_ended", client, client=client, reason=reason)


def queued(message: str, by: str, sender: bytes, recipients: int, size: int) -> None:
    """queue: a message that did not come by smtpd (a forward, an injected one) is durable."""
    _emit("queued", message=message, by=by, sender=sender, recipients=recipients, size=size)


def changed(message: str, what: str, deliveries: int) -> None:
    """queue: a postmaster has held, released or dropped a message, or made it due now, by hand."""
    _emit("changed", message=message, what=what, deliveries=deliveries)


def delivered(message: str, recipient: bytes, to: str, attempt: int, delay: float, text: bytes = b"") -> None:
    """local, remote: a recipient has it; `delay` in seconds since it was accepted (hot path)."""
    _writer.add(
        "delivered",
        f', "message": "{message}", "recipient": {_text(recipient)}, "to": {_quote(to)}, '
        f'"attempt": {attempt}, "delay": {delay:.3f}, "text": {_text(text)}',
    )


def forwarded(message: str, recipient: bytes, new: str, to: bytes) -> None:
    """local: a dot-qmail forward entered the queue as message `new`."""
    _emit("forwarded", message=message, recipient=recipient, new=new, to=to)


def deferred(message: str, recipient: bytes, attempt: int, text: bytes, next_attempt: str) -> None:
    """queue: an attempt failed for now; the next one is at `next_attempt` (RFC 3339)."""
    _emit("deferred", message=message, recipient=recipient, attempt=attempt, text=text.rstrip(b"\n"), next=next_attempt)


def failed(message: str, recipient: bytes, attempt: int, text: bytes) -> None:
    """queue: a recipient failed for good and will be in the bounce."""
    _emit("failed", message=message, recipient=recipient, attempt=attempt, text=text.rstrip(b"\n"))


def bounced(message: str, bounce: str, to: bytes) -> None:
    """queue: the bounce of `message` is message `bounce`, in the same commit."""
    _emit("bounced", message=message, bounce=bounce, to=to)


def notified(message: str, notice: str, to: bytes) -> None:
    """queue: the sender was told, by the message `notice`, that `message` still waits."""
    _emit("notified", message=message, notice=notice, to=to)


def discarded(message: str, why: str) -> None:
    """queue: a failure that nobody can be told about (a triple bounce)."""
    _emit("discarded", message=message, why=why)


def finished(message: str, age: float) -> None:
    """queue: nothing is left to do for a message, its content is gone (hot path)."""
    _writer.add("finished", f', "message": "{message}", "age": {age:.3f}')
