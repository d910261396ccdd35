"""The queue as people and scripts see it: rows as JSON objects.  Pure."""

from collections.abc import Callable
from typing import Any

from appliance import message_id
from appliance.message import qsbmf
from appliance.queue.schedule import timestamp
from appliance.queue.store import CHANNELS, DeliveryRow, Listed, recipients

PAGE = 100  # messages read at a time
_HEADER = 64 * 1024

Public = Callable[[bytes], bytes]  # a recipient as the world knows it


def listed(item: Listed, now: float, public: Public) -> dict[str, Any]:
    """A message in `paperpath queue list --json`."""
    message = item.message
    born = message_id.born(message.id)
    return {
        "message": message_id.text(message.id),
        "born": timestamp(born),
        "age": max(0, round(now - born)),
        "size": message.size,
        "sender": _text(message.sender),
        "failures": item.failures,
        "recipients": [entry for delivery in item.deliveries for entry in _entries(delivery, public)],
        "done": [
            {"address": _text(public(recipient)), "channel": CHANNELS[delivery.channel]}
            for delivery in item.deliveries
            for recipient in recipients(delivery.recipients)[1]
        ],
    }


def _entries(delivery: DeliveryRow, public: Public) -> list[dict[str, Any]]:
    return [
        {
            "address": _text(public(recipient)),
            "channel": CHANNELS[delivery.channel],
            "attempts": delivery.attempts,
            "next": timestamp(delivery.due),
            "error": _text(delivery.report).strip(),
        }
        for recipient in recipients(delivery.recipients)[0]
    ]


def shown(item: Listed, content: bytes, failures: list[bytes], now: float, public: Public) -> dict[str, Any]:
    """A message in `paperpath queue show --json`."""
    return {
        **listed(item, now, public),
        "failed": [_text(text).strip() for text in failures],
        "header": _text(qsbmf.header(content)[:_HEADER]),
    }


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
