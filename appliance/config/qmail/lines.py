"""Lines of dot-qmail files as a YAML may hold them.  Pure."""

import shlex
from collections.abc import Callable

from appliance.config import values
from appliance.config.qmail.root import show


class Lines:
    """How a host's dot-qmail lines are written here.

    host  what a forward to a name without a domain gets (envnoathost)
    told  is given what could not be carried over
    """

    def __init__(self, host: str, told: Callable[[str], None]) -> None:
        self.host = host
        self._told = told

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
                self._told(
                    f"{where} line 1: empty, so qmail followed none of its lines; left out, the others count now"
                )
            if line[:1] in (b"", b"#") or (line[:1] == b"+" and line != b"+list"):
                continue
            found.append(self._line(line, home, f"{where} line {number}"))
        return found or ["#"]  # which throws mail away, as it did

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
            self._told(f"{where}: mail for it waits until this is put right: {show(line)} ({error})")
            return f"|echo {shlex.quote('not carried over: ' + ascii(show(line)))}; exit 111"
