"""What an accepted message becomes: an id, a Received line, and deliveries sorted by their way."""

from appliance import lease, message_id
from appliance.message.date import mail_date
from appliance.queue.store import LOCAL, REMOTE
from appliance.route import Destination, Routes

_KEEP = 10_000  # destinations remembered

# who brought it, in the words of qmail's Received line (contracts section 6.3); a person is `by uid N`
ORIGIN = {
    "smtpd": b"from network",
    "qmtpd": b"from network",
    "local": b"by alias",
    "bounce": b"for bounce",
}

Way = tuple[int, bytes]  # channel, destination


class Ids:
    """Gives out ids that grow and are never used twice (guarantee 8); deliveries take those after their message's."""

    def __init__(self, last: int) -> None:
        self.last = last

    def take(self, deliveries: int, now: float) -> int:
        """The id of a new message, those of its deliveries follow."""
        number = message_id.following(self.last, now)
        self.last = number + deliveries
        return number


class Sorter:
    """Sorts recipients by one generation's routes."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._known: dict[bytes, Destination] = {}

    def sort(self, recipients: tuple[bytes, ...], *, alone: bool = False) -> list[tuple[Way, tuple[bytes, ...]]]:
        """Deliveries of at most lease.RECIPIENTS each: local ones together, remote ones by domain.

        alone: a remote delivery for each, for each has a sender of its own (VERP).
        A local address without a local part is qmail's trash can: delivered, to nowhere.
        """
        if len(recipients) == 1:  # nearly all mail
            found = self._destination(recipients[0])
            if found.local:
                return [] if found.address[:1] == b"@" else [((LOCAL, b""), (found.address,))]
            return [((REMOTE, _domain(found.address)), (found.address,))]
        ways: dict[Way, list[bytes]] = {}
        for recipient in recipients:
            found = self._destination(recipient)
            if not found.local:
                ways.setdefault((REMOTE, _domain(found.address)), []).append(found.address)
            elif found.address[:1] != b"@":
                ways.setdefault((LOCAL, b""), []).append(found.address)
        found_ways: list[tuple[Way, tuple[bytes, ...]]] = []
        for way, addresses in ways.items():
            most = 1 if alone and way[0] == REMOTE else lease.RECIPIENTS
            found_ways += [(way, tuple(addresses[start : start + most])) for start in range(0, len(addresses), most)]
        return found_ways

    def _destination(self, recipient: bytes) -> Destination:
        known = self._known.get(recipient)
        if known is None:
            if len(self._known) >= _KEEP:
                self._known.clear()
            known = self._known[recipient] = self._routes.destination(recipient)
        return known


def _domain(address: bytes) -> bytes:
    return address[address.rfind(b"@") + 1 :].lower()


class Stamp:
    """Writes Received lines; remembers the date's text for the second it is valid."""

    def __init__(self) -> None:
        self._second = -1
        self._date = b""

    def received(self, message: int, role: str, now: float) -> bytes:
        """The line that the queue puts first."""
        second = int(now)
        if second != self._second:
            self._second, self._date = second, mail_date(second)
        name = message_id.text(message).encode()
        return b"Received: (paperpath %b invoked %b); %b\n" % (
            name,
            ORIGIN.get(role) or b"by " + role.encode(),
            self._date,
        )
