"""A batch of deliveries, from the instructions to the reports.

For each recipient, in qmail-local's order: the user, the home, the loop check, the dot-qmail file,
its mailboxes, its forwards.  Mailboxes of the whole batch are written together, and so are
forwards; a file with programs is carried out line by line, beside the batch.  Whatever goes wrong
unforeseen is temporary and that recipient's alone.
"""

import os
import time
from collections.abc import Iterator, Sequence

from appliance import address, log
from appliance.control import Control
from appliance.errors import MailError, Permanent, Temporary, internal
from appliance.lease import Delivery, Report
from appliance.local.beside import Beside
from appliance.local.content import Content
from appliance.local.environment import Circumstances, environment
from appliance.local.forward import Forward, Forwarder
from appliance.local.lookup import Book, Resident, check_home
from appliance.local.maildir import Letter, Maildirs
from appliance.local.plan import return_path
from appliance.local.recipient import Recipient, report
from appliance.local.steps import Job, Steps
from appliance.message import mbox
from appliance.state import State


class Deliverer:
    """Carries out deliveries by the configuration that is active when each batch begins."""

    def __init__(self, state: State, maildirs: Maildirs, forwarder: Forwarder, steps: Steps) -> None:
        self._root = os.fsencode(os.path.abspath(state.root))
        self._control = Control(state)
        self._maildirs = maildirs
        self._forwarder = forwarder
        self._steps = steps
        self.beside = Beside(self._control, steps)
        self._book: Book | None = None
        self._generation: object = None
        self._homes: set[bytes] = set()  # that may be written to

    def deliver(self, batch: Sequence[tuple[Delivery, Content]]) -> Iterator[list[tuple[Delivery, list[Report]]]]:
        """Deliver; yields the deliveries with their reports: first all that wait for no forward, then the rest.

        Deliveries with a recipient whose file starts programs are not among them: they are begun in `beside`.
        """
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
        aside: list[tuple[Delivery, list[Recipient]]] = []
        for delivery, recipients in work:
            its = [to.forward for to in recipients if to.forward is not None and to.failure is None]
            forwards.extend(its)
            if any(to.job is not None for to in recipients):
                aside.append((delivery, recipients))
            elif its:
                waiting.append((delivery, recipients))
            else:
                done.append((delivery, [report(to) for to in recipients]))
        if done:
            yield done
        if forwards:
            self._forwarder.send(forwards)
        if waiting:
            yield [(delivery, [report(to) for to in recipients]) for delivery, recipients in waiting]
        for delivery, recipients in aside:
            self.beside.add(delivery, recipients, [to.job for to in recipients if to.job is not None])

    def finished(self, *, stop: bool = False) -> Iterator[tuple[Delivery, list[Report], bool]]:
        """The deliveries beside that are done, and whether the queue still waits for their reports.

        stop: begin no more, and wait a while for those that are under way.
        """
        for its in self.beside.stop() if stop else self.beside.finished():
            yield its.delivery, [report(to) for to in its.recipients], its.leased

    def _current(self) -> Book:
        generation = self._control.current()
        if self._book is None or generation is not self._generation:
            self._book = Book(generation, self._root)
            self._maildirs.sizes = self._steps.maildirs.sizes = b"pop3" in generation.mapping("listen")
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
            if to.plan.steps:
                to.job = self._job(book, to, who, sender)
            if to.plan.maildirs:
                head = return_path(sender) + who.delivered_to
                letters.extend([Letter(folder, head, content, to) for folder in to.plan.maildirs])
            if to.plan.forwards:
                to.forward = Forward(book.forward_sender(who, sender), to.plan.forwards, who.delivered_to, content, to)
        except (MailError, OSError) as error:
            to.failure = error
        except Exception as error:  # noqa: BLE001  # a bug must not end the batch, nor bounce a mail
            to.failure = internal(repr(error))

    def _job(self, book: Book, to: Recipient, who: Resident, sender: bytes) -> Job:
        """The lines of a file that starts programs or writes an mbox. Raises Temporary."""
        if self.beside.full:
            raise Temporary(451, "4.3.2", "too many deliveries to programs wait, try again later")
        if self.beside.runs(to.delivery.message):
            raise Temporary(451, "4.3.0", "an attempt from before the queue's restart still runs, try again later")
        now = time.time()
        new_sender = book.forward_sender(who, sender)
        at = Circumstances(
            sender=sender,
            new_sender=new_sender,
            recipient=who.recipient,
            user=who.user,
            home=who.home,
            ext=who.ext,
            default=book.default(who),
            delivered_to=who.delivered_to,
            now=now,
        )
        head = return_path(sender) + who.delivered_to
        forward = Forward(new_sender, (), who.delivered_to, Content(b"", 0))
        from_line = mbox.from_line(sender, now)
        return Job(to.delivery, who.home, to.plan.steps, head, from_line, environment(at), forward, to)
