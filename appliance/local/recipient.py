"""One recipient of a delivery: what is to be done, what came of it, and how the queue and the log are told."""

import errno
import os
import time

from appliance import log, message_id
from appliance.dotqmail import Action
from appliance.errors import MailError, Result, Temporary
from appliance.lease import TEXT, Delivery, Report
from appliance.local.forward import Forward
from appliance.local.lookup import Resident
from appliance.local.maildir import Attempt
from appliance.local.plan import Plan
from appliance.local.steps import Job

_NOWHERE = Plan((), ())

_DISK = {
    errno.ENOSPC: (452, "4.3.1", "the disk of the mailboxes is full"),
    errno.EDQUOT: (452, "4.2.2", "the mailbox is full"),
    errno.ENOENT: (451, "4.2.1", "the Maildir does not exist"),
    errno.ENOTDIR: (451, "4.2.1", "the Maildir is not a folder"),
    errno.EACCES: (451, "4.2.1", "the Maildir is not accessible"),
    errno.EMFILE: (451, "4.3.2", "too many open files, try again later"),
}


class Recipient(Attempt):
    """One recipient's attempt: what is to be done, and what came of it."""

    __slots__ = ("address", "delivery", "forward", "job", "plan", "resident")

    def __init__(self, delivery: Delivery, address: bytes) -> None:
        super().__init__()
        self.delivery = delivery
        self.address = address
        self.resident: Resident | None = None
        self.plan = _NOWHERE
        self.forward: Forward | None = None
        self.job: Job | None = None  # of a file whose lines are carried out in their order


def report(to: Recipient) -> Report:
    """What the queue is told, and the log."""
    if to.failure is not None:
        return _failed(to, to.failure)
    if to.job is not None and to.resident is not None:
        return _stepped(to, to.job, to.resident)
    delivery, who, steps = to.delivery, to.resident, to.plan
    name = message_id.text(delivery.message)
    public = who.public if who else to.address
    delay = time.time() - message_id.born(delivery.message)
    text = b"did %d+%d+0" % (len(steps.maildirs), len(steps.forwards))
    if who is not None:
        for _ in steps.maildirs:
            log.delivered(name, public, who.place, delivery.attempt, delay, text)
    if to.forward is not None:
        text += b" qp " + to.forward.new.encode()
        for address in steps.forwards:
            log.forwarded(name, public, to.forward.new, address)
    elif not steps.maildirs:
        log.delivered(name, public, "nowhere", delivery.attempt, delay, text)
    return Report(Result.DONE, text)


def _stepped(to: Recipient, job: Job, who: Resident) -> Report:
    """As qmail-local: what the programs wrote, then the numbers of files, forwards and programs."""
    name = message_id.text(to.delivery.message)
    delay = time.time() - message_id.born(to.delivery.message)
    files, programs = job.count(Action.MAILDIR, Action.MBOX), job.count(Action.PROGRAM)
    forwards = job.forward.recipients
    counts = b"did %d+%d+%d" % (files, len(forwards), programs)
    text = _line(job.output[: TEXT - 100]) + counts  # a number and an id fit into the rest
    for step in job.done:
        place = who.place if step.action is Action.MAILDIR else f"{step.action.value} {os.fsdecode(step.target)}"
        log.delivered(name, who.public, place, to.delivery.attempt, delay, text)
    if forwards:
        text += b" qp " + job.forward.new.encode()
        for address in forwards:
            log.forwarded(name, who.public, job.forward.new, address)
    elif not job.done:
        log.delivered(name, who.public, "nowhere", to.delivery.attempt, delay, text)
    return Report(Result.DONE, text)


def _line(output: bytes) -> bytes:
    """What a program wrote, with a line end if it wrote anything."""
    return output if not output or output.endswith(b"\n") else output + b"\n"


def _failed(to: Recipient, failure: Exception) -> Report:
    """A failure as the sender and the queue's log see it; its cause goes to our log only."""
    error = failure if isinstance(failure, MailError) else _temporary(failure)
    if error.cause is not None:
        address = (to.resident.public if to.resident else to.address).decode("utf-8", "replace")
        log.trouble(f"message {message_id.text(to.delivery.message)} to {address}: {error.text}", error.cause)
    text = f"{error.code} {error.enhanced} {error.text}".encode()
    if to.job is not None and to.job.output:  # of a program that spoke, these are the words, as qmail's users know them
        spoken = to.job.output.strip(b"\n")
        text = _line(spoken[: TEXT - len(text) - 1]) + text if error.cause is not None else spoken
    return Report(error.result, text)


def _temporary(failure: Exception) -> Temporary:
    """What went wrong on the disk, in words for the sender."""
    number = failure.errno if isinstance(failure, OSError) else None
    code, enhanced, text = _DISK.get(number or 0, (451, "4.3.0", "cannot deliver to the mailbox now"))
    return Temporary(code, enhanced, text, failure)
