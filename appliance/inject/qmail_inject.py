"""`qmail-inject`: a message on stdin, completed and queued (contracts: qmail-inject)."""

import os
import sys
import time
from collections.abc import Iterator
from itertools import chain

from appliance import command, injection
from appliance.control import Control
from appliance.errors import MailError, Permanent
from appliance.inject.composing import Composed, RefusedError, Request, compose, return_path
from appliance.inject.settings import Environment, Settings, listed, settings
from appliance.inject.stamps import Moment
from appliance.message.header import HeaderTooLargeError, Splitter

NAME = "qmail-inject"
USAGE = "usage: qmail-inject [-nNaAhH] [-f sender] [--] [recipient ...]"


def main() -> int:
    """Queue the message on stdin; 0, 100 (never), 111 (not now)."""
    command.interruptible()
    return run([os.fsencode(word) for word in sys.argv[1:]], os.environb, command.read())


def run(words: list[bytes], environ: Environment, pieces: Iterator[bytes]) -> int:
    """The same for given words, variables and message."""
    try:
        inject(words, environ, pieces)
    except (command.UsageError, RefusedError, HeaderTooLargeError, Permanent) as error:
        command.say(NAME, told(error))
        return command.PERMANENT
    except BrokenPipeError:  # whoever reads what -n prints has seen enough
        return command.TEMPORARY
    except Exception as error:  # noqa: BLE001  # the rest is temporary, foreseen or not
        command.say(NAME, told(error))
        return command.TEMPORARY
    return 0


def told(error: Exception) -> str:
    """An error in a line for who called the command."""
    if isinstance(error, MailError):
        return f"{error.text} (#{error.enhanced})" + (f": {error.cause}" if error.cause else "")
    if isinstance(error, command.UsageError):
        return f"{error}; {USAGE}"
    return str(error) or type(error).__name__


def inject(words: list[bytes], environ: Environment, pieces: Iterator[bytes]) -> None:
    """Read, complete, and queue or print. Raises what `run` knows."""
    chosen, arguments = command.options(words, b"aAhHnNf:")
    flags = dict(chosen)  # the last of an option counts
    choice = next((letter for letter, _ in reversed(chosen) if letter in "aAhH"), "A")
    show = next((letter == "n" for letter, _ in reversed(chosen) if letter in "nN"), False)
    sender = flags.get("f")
    request = Request(tuple(arguments), choice, b"" if sender == b"<>" else sender)
    state = command.state()
    known = known_settings(environ, Control(state))
    message = unix_lines(pieces)
    splitter, body = split(message)
    composed = compose(splitter.fields, request, known, Moment(int(time.time()), os.getpid()))
    content = whole(composed, splitter, body, message)
    if show:
        sys.stdout.buffer.write(return_path(composed.sender))
        sys.stdout.buffer.writelines(content)
        sys.stdout.buffer.flush()
    else:
        injection.queue(state, injection.Letter(composed.sender, tuple(composed.recipients), content), environ)


def known_settings(environ: Environment, control: Control) -> Settings:
    """Variables and control files. Raises OSError, LookupError."""
    lists = frozenset[bytes]()
    if b"QMAILMFTFILE" in environ:
        try:
            with open(environ[b"QMAILMFTFILE"], "rb") as file:
                lists = listed(file.read())
        except FileNotFoundError:
            lists = frozenset()
    try:
        return settings(environ, control.current(), lists)
    except FileNotFoundError as error:
        raise LookupError(f"no configuration is in force: {error.filename}: {error.strerror}") from error


def unix_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """A message whose first line ends in CRLF, with LF for each CRLF; any other as it is."""
    beginning = b""
    for piece in pieces:
        beginning += piece
        if b"\n" in piece or len(beginning) > command.CHUNK:
            break
    dos = beginning[: beginning.find(b"\n") + 1].endswith(b"\r\n")
    if not dos:
        yield beginning
        yield from pieces
        return
    held = b""
    for piece in chain([beginning], pieces):
        data = held + piece
        held = b"\r" if data.endswith(b"\r") else b""
        yield data[: len(data) - len(held)].replace(b"\r\n", b"\n")
    yield held


def split(message: Iterator[bytes]) -> tuple[Splitter, bytes]:
    """Read the header; what of the body came with it. Raises HeaderTooLargeError."""
    splitter = Splitter()
    for piece in message:
        body = splitter.feed(piece)
        if body is not None:
            return splitter, body
    return splitter, splitter.end()


def whole(composed: Composed, splitter: Splitter, body: bytes, message: Iterator[bytes]) -> Iterator[bytes]:
    """Header and body; a last line without its end gets one."""
    separate = b"\n" if splitter.blank or body else b""
    last = composed.header + separate + body
    yield last
    for piece in message:
        if piece:
            yield piece
            last = piece
    if not last.endswith(b"\n"):
        yield b"\n"


if __name__ == "__main__":
    sys.exit(main())
