"""Where a kill may leave a message twice, and why."""

from crash_letters import Item
from crash_watch import Point


def allowed(point: Point, item: Item) -> bool:
    return False
