"""How fast deliveries are tried that will probably fail.  Pure."""

STRUGGLING = 100  # deliveries a second, of all destinations together that fail at present
SIP = 25  # deliveries that a look at the disk counts for at least


class Pace:
    """What may be tried now: it grows with time, to one second's worth, and every attempt takes from it."""

    def __init__(self, now: float) -> None:
        self._left, self._since = float(STRUGGLING), now

    def left(self, now: float) -> int:
        """Deliveries that may be tried now."""
        gained = STRUGGLING * max(0.0, now - self._since)
        self._left, self._since = min(float(STRUGGLING), self._left + gained), now
        return int(self._left)

    def spend(self, count: int) -> None:
        """So many are tried, or looked for."""
        self._left -= count

    def wait(self, now: float) -> float:
        """Seconds until a look at the disk is worth while."""
        return max(0.0, SIP - self.left(now)) / STRUGGLING
