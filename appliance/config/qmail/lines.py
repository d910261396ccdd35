"""Lines of dot-qmail files as a YAML may hold them.  Pure."""

import shlex
from collections.abc import Callable

from appliance import dotqmail
from appliance.config import values
from appliance.config.problem import one_line
from appliance.config.qmail.root import show


class Lines:
    """How a host's dot-qmail lines are written here.

    host  what a forward to a name without a domain gets (envnoathost)
    told  is given what could not be carried over
    """

    def __init__(self, host: str, told: Callable[[str], None]) -> None:
        self.host = host
        self.told = told

    def of(self, text: bytes, home: bytes, where: str, *, forward_only: bool) -> list[str]:
        """The lines of a file; an empty file has none.

        What can't be carried over becomes a command that fails for now: its mail waits, and is not lost.
        """
        if not text:
            return []
        found: list[str] = ["+list"] if forward_only else []
        for number, raw in enumerate(text.split(b"\n"), 1):
            line = raw.rstrip(b" \t")
            if not line and number == 1:
                self.told(f"{where} line 1: empty, so qmail followed none of its lines; left out, the others count now")
            if line[:1] in (b"", b"#") or (line[:1] == b"+" and line != b"+list"):
                continue
            found.append(self._line(line, home, f"{where} line {number}"))
        found = found or ["#"]  # which throws mail away, as it did
        try:
            dotqmail.instructions("\n".join(found).encode())
        except dotqmail.DotQmailError as error:
            self.told(f"{where}: mail for it waits until this is put right, as it did: {error}")
            return [_held(where)]
        return found

    def _line(self, line: bytes, home: bytes, where: str) -> str:
        try:
            text = line.decode()
            if line[:1] == b"/" and line.startswith(home + b"/"):
                text = "./" + text[len(home.decode()) + 1 :]
            elif line[:1] not in b"|./+":
                address = text.removeprefix("&")
                text = "&" + (address if "@" in address else f"{address}@{self.host}")
            return values.delivery_line(text)
        except ValueError as error:
            self.told(f"{where}: mail for it waits until this is put right: {show(line)} ({error})")
            return _held(where)


def _held(where: str) -> str:
    """A command that fails for now, and says why in the log."""
    return f"|echo {shlex.quote(one_line(f'not carried over: {where}'))}; exit 111"
