"""How much of what brings no mail a session may do, and for how long.  Pure.

A message that was accepted begins all counts anew; so a client with much mail is never cut short.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.smtpd.settings import Settings

PACE = 1000  # bytes of content a second; the client's time-out (RFC 5321 section 4.5.3.2) comes on top


class Conduct:
    """Of one session.

    enough  why it is to end, empty as long as it may go on
    began   when its content began, seconds of the loop's clock
    """

    __slots__ = ("_commands", "_errors", "_refusals", "_settings", "_since", "began", "enough")

    def __init__(self, settings: "Settings", now: float) -> None:
        self._settings = settings
        self.brought_mail(now)

    def brought_mail(self, now: float) -> None:
        """A message was accepted."""
        self._errors = self._refusals = self._commands = 0
        self._since = self.began = now
        self.enough = ""

    def error(self) -> None:
        """A command was none, or not understood."""
        self._errors += 1
        if self._errors >= self._settings.max_errors:
            self.enough = "too many errors"

    def refusal(self) -> None:
        """A sender, a recipient or a message was refused for good."""
        self._refusals += 1
        if self._refusals >= self._settings.max_refusals:
            self.enough = "too many refusals"

    def command(self) -> None:
        """A command did nothing for a message."""
        self._commands += 1
        if self._commands >= self._settings.max_commands:
            self.enough = "too many commands that bring no mail"

    def too_long(self, now: float, patience: float) -> bool:
        """Whether the session has brought no mail for too long; patience: seconds, at most."""
        return now - self._since > min(self._settings.session_timeout, patience)

    def too_slow(self, now: float, size: int) -> bool:
        """Whether content of which `size` bytes have come is sent too slowly."""
        return now - self.began > self._settings.timeout + size / PACE
