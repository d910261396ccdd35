"""Who has got which message lately: a report that was lost with the queue is made again, not delivered again.

The queue never hands out a recipient again after it committed its `K` (docs/internals.md, guarantee
4); if it does, the report was lost, and the recipient has the message.
"""

from collections.abc import Iterable

from appliance.errors import Result
from appliance.lease import Delivery, Report

KEPT = 5000  # messages

_KNOWN = Report(Result.DONE, b"accepted earlier, the report of it was lost\n")


class Remembered:
    """The recipients that accepted the last messages."""

    def __init__(self) -> None:
        self._messages: dict[int, set[bytes]] = {}

    def __contains__(self, message: int) -> bool:
        return message in self._messages

    def add(self, message: int, recipients: Iterable[bytes]) -> None:
        """These have it."""
        known = self._messages.get(message)
        if known is not None:
            known.update(recipients)
            return
        if len(self._messages) >= KEPT:
            del self._messages[next(iter(self._messages))]
        self._messages[message] = set(recipients)

    def unknown(self, delivery: Delivery) -> tuple[bytes, ...]:
        """The recipients of a delivery who have not got it."""
        known = self._messages[delivery.message]
        return tuple([recipient for recipient in delivery.recipients if recipient not in known])

    def complete(self, delivery: Delivery, results: list[Report], recipients: tuple[bytes, ...]) -> list[Report]:
        """Results for all recipients that the queue gave: those attempted now, and those left out."""
        attempted = dict(zip(delivery.recipients, results, strict=True))
        return [attempted.get(recipient, _KNOWN) for recipient in recipients]
