"""What happens in the queue in qmail-send's words, for `log: {format: qmail}`: scripts that read its log read ours.

A message's number is its id in decimal.  There is no qmail-queue process: `qp` is made from the id, so that a bounce
is found by the qp that its message's `bounce msg` line tells.  The uid is that of who ran qmail-inject, or the queue's own.
"""

import os
from collections.abc import Sequence
from functools import partial

from appliance import log
from appliance.errors import Result
from appliance.lease import Report
from appliance.message.qsbmf import GAVE_UP
from appliance.qmail_log import safe
from appliance.queue.held import Held, Message, Worker
from appliance.queue.leases import Channel
from appliance.queue.outcome import NO_REPORT
from appliance.queue.store import CHANNELS

_WORDS = {Result.DONE: "success", Result.TEMPORARY: "deferral", Result.PERMANENT: "failure"}
_LOST = b"The_delivery_program_ended.\n"


def qp(message: int) -> int:
    """Stands for the number of the process that queued a message."""
    return message % 10**9


class SendLog:
    """The log of one queue's life: each recipient's attempt has a number.

    limits  concurrencylocal and concurrencyremote
    """

    def __init__(self, channels: Sequence[Channel], limits: Sequence[int]) -> None:
        self.limits = tuple(limits)
        self._channels = channels
        self._count = 0
        self._running = [0, 0]
        self._first: dict[int, int] = {}  # by delivery: the number of its first recipient's attempt
        self._leaving = ""
        for channel in channels:
            channel.give = partial(self._give, channel.number)

    def close(self) -> None:
        """The log has another form from now on."""
        for channel in self._channels:
            channel.give = Worker.give

    def status(self) -> None:
        """How many attempts are being made."""
        (local, remote), (most_local, most_remote) = self._running, self.limits
        log.said(f"status: local {local}/{most_local} remote {remote}/{most_remote}{self._leaving}")

    def stopping(self) -> None:
        """No attempt begins any more."""
        self._leaving = " exitasap"
        self.status()

    def stopped(self) -> None:
        """The last line."""
        log.said("status: exiting")

    def accepted(self, message: Message, role: str) -> None:
        """A message is durable."""
        uid = role[4:] if role.startswith("uid ") else str(os.getuid())
        log.said(f"new msg {message.id}")
        sender = safe(message.sender)
        log.said(f"info msg {message.id}: bytes {message.size} from <{sender}> qp {qp(message.id)} uid {uid}")

    def _give(self, channel: int, worker: Worker, delivery: Held, now: float) -> None:
        self._first[delivery.id] = self._count + 1
        for recipient in delivery.left:
            self._count += 1
            self._running[channel] += 1
            to = f"{CHANNELS[channel]} {safe(recipient)}"
            log.said(f"starting delivery {self._count}: msg {delivery.message.id} to {to}")
            self.status()
        worker.give(delivery, now)

    def ended(self, channel: Channel, delivery: Held, reports: Sequence[Report], *, last: bool) -> None:
        """An attempt has ended; last: what failed for now has failed for good."""
        first = self._first.pop(delivery.id, 0)
        if not first:  # begun while the log had another form, or lost
            return
        missing = len(delivery.left) - len(reports)
        for number, report in enumerate([*reports, *[NO_REPORT] * missing][: len(delivery.left)], first):
            result, text = report.result, report.text
            if last and result is Result.TEMPORARY:
                result, text = Result.PERMANENT, text + GAVE_UP
            self._running[channel.number] -= 1
            log.said(f"delivery {number}: {_WORDS[result]}: {safe(text)}")
            self.status()

    def lost(self, channel: Channel, worker: Worker) -> None:
        """A worker is gone: what it had in hand is tried again."""
        for delivery in worker.leased.values():
            self.ended(channel, delivery, [Report(Result.TEMPORARY, _LOST)] * len(delivery.left), last=False)

    def bounced(self, message: Message, bounce: Message) -> None:
        """Failures are in another message now."""
        log.said(f"bounce msg {message.id} qp {qp(bounce.id)}")

    def discarded(self, message: Message) -> None:
        """Nobody can be told."""
        log.said(f"triple bounce: discarding bounce/{message.id}")

    def finished(self, message: Message) -> None:
        """Nothing is left to do."""
        log.said(f"end msg {message.id}")
