"""A batch of deliveries, from the instructions to the reports.

For each recipient, in qmail-local's order: the user, the home, the loop check, the dot-qmail file,
its mailboxes, its forwards.  Mailboxes of the whole batch are written together, and so are
forwards.  Whatever goes wrong unforeseen is temporary and that recipient's alone.
"""

import errno
import os
import time
from collections.abc import Iterator, Sequence

from appliance import address, log, message_id
from appliance.control import Control
from appliance.errors import MailError, Permanent, Result, Temporary, internal
from appliance.lease import Delivery, Report
from appliance.local.content import Content
from appliance.local.forward import Forward, Forwarder
from appliance.local.lookup import Book, Resident, check_home
from appliance.local.maildir import Attempt, Letter, Maildirs
from appliance.local.plan import Plan, return_path
from appliance.state import State

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

    __slots__ = ("address", "delivery", "forward", "plan", "resident")

    def __init__(self, delivery: Delivery, address: bytes) -> None:
        super().__init__()
        self.delivery = delivery
        self.address = address
        self.resident: Resident | None = None
        self.plan = _NOWHERE
        self.forward: Forward | None = None


class Deliverer:
    """Carries out deliveries by the configuration that is active when each batch begins."""

    def __init__(self, state: State, maildirs: Maildirs, forwarder: Forwarder) -> None:
        self._root = os.fsencode(state.root)
        self._control = Control(state)
        self._maildirs = maildirs
        self._forwarder = forwarder
        self._book: Book | None = None
        self._generation: object = None
        self._homes: set[bytes] = set()  # that may be written to

    def deliver(self, batch: Sequence[tuple[Delivery, Content]]) -> Iterator[list[tuple[Delivery, list[Report]]]]:
        """Deliver; yields the deliveries with their reports: first all that wait for no forward, then the rest."""
        try:
            book = self._current()
        except (OSError, ValueError, LookupError) as error:
            log.trouble("cannot read the configuration, mail is deferred", error)
            book = None
        self._homes.clear()
        work: list[tuple[Delivery, list[Recipient]]] = []
        letters: list[Letter] = []
        for delivery, content in batch:
            recipients = [Recipient(delivery, address) for address in delivery.recipients]
            for recipient in recipients:
                self._prepare(book, recipient, content, letters)
            work.append((delivery, recipients))
        self._maildirs.deliver(letters)
        forwards: list[Forward] = []
        done: list[tuple[Delivery, list[Report]]] = []
        waiting: list[tuple[Delivery, list[Recipient]]] = []
        for delivery, recipients in work:
            its = [to.forward for to in recipients if to.forward is not None and to.failure is None]
            if its:
                forwards.extend(its)
                waiting.append((delivery, recipients))
            else:
                done.append((delivery, [_report(to) for to in recipients]))
        if done:
            yield done
        if forwards:
            self._forwarder.send(forwards)
            yield [(delivery, [_report(to) for to in recipients]) for delivery, recipients in waiting]

    def _current(self) -> Book:
        generation = self._control.current()
        if self._book is None or generation is not self._generation:
            self._book = Book(generation, self._root)
            self._generation = generation
        return self._book

    def _prepare(self, book: Book | None, to: Recipient, content: Content, letters: list[Letter]) -> None:
        """Find out what is to be done, and append the letters."""
        try:
            if book is None:
                raise Temporary(451, "4.3.0", "the configuration cannot be read")
            local, at, _ = to.address.rpartition(b"@")
            if not at:
                raise Permanent(501, "5.1.3", "an address needs an @")
            if not local:  # qmail's trash can
                return
            who = to.resident = book.resident(to.address)
            if who.home not in self._homes:  # one look a batch
                check_home(who.home)
                self._homes.add(who.home)
            if content.names(who.delivered_to):
                raise Permanent(554, "5.4.6", "this message is looping: it already has my Delivered-To line")
            to.plan = book.plan(who)
            sender = address.verp(to.delivery.sender, who.public)
            if to.plan.maildirs:
                head = return_path(sender) + who.delivered_to
                letters.extend([Letter(folder, head, content, to) for folder in to.plan.maildirs])
            if to.plan.forwards:
                to.forward = Forward(book.forward_sender(who, sender), to.plan.forwards, who.delivered_to, content, to)
        except (MailError, OSError) as error:
            to.failure = error
        except Exception as error:  # noqa: BLE001  # a bug must not end the batch, nor bounce a mail
            to.failure = internal(repr(error))


def _report(to: Recipient) -> Report:
    """What the queue is told, and the log."""
    if to.failure is not None:
        return _failed(to, to.failure)
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


def _failed(to: Recipient, failure: Exception) -> Report:
    """A failure as the sender and the queue's log see it; its cause goes to our log only."""
    error = failure if isinstance(failure, MailError) else _temporary(failure)
    if error.cause is not None:
        address = (to.resident.public if to.resident else to.address).decode("utf-8", "replace")
        log.trouble(f"message {message_id.text(to.delivery.message)} to {address}: {error.text}", error.cause)
    return Report(error.result, f"{error.code} {error.enhanced} {error.text}".encode())


def _temporary(failure: Exception) -> Temporary:
    """What went wrong on the disk, in words for the sender."""
    number = failure.errno if isinstance(failure, OSError) else None
    code, enhanced, text = _DISK.get(number or 0, (451, "4.3.0", "cannot deliver to the mailbox now"))
    return Temporary(code, enhanced, text, failure)
