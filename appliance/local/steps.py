"""Carrying out a dot-qmail file line by line, for one that starts programs or writes an mbox.

A step that fails ends the delivery; what was done before stays done, and is done again at the next attempt.
Forwards are collected and leave last, in one message.  A program may end the file early with status 99.
"""

import contextlib
import os
import socket
import threading
import time
from dataclasses import dataclass, field

from appliance import launch, lease
from appliance.dotqmail import Action, Instruction
from appliance.errors import MailError, Permanent, Temporary, internal
from appliance.lease import Delivery
from appliance.local import mbox
from appliance.local.content import Content
from appliance.local.forward import Forward, Forwarder
from appliance.local.maildir import Attempt, Letter, Maildirs, make_folder
from appliance.state import State

_STARTING = 3.0  # seconds
DONE, ENOUGH = 0, 99  # exit statuses: go on; skip the lines after this one
PERMANENT = frozenset({100, 64, 65, 70, 76, 77, 78, 112})  # qmail's, sysexits.h's; every other one is temporary


@dataclass(slots=True)
class Job:
    """The steps of one recipient, and what came of them.

    head         the lines on top of a mailbox's copy
    from_line    the line before it in an mbox
    environment  of programs
    forward      the sender, and on top of it the line, of what is forwarded
    done         steps that delivered, in their order
    output       what programs wrote
    excess       why it failed, beyond what its last program wrote
    """

    delivery: Delivery
    home: bytes
    steps: tuple[Instruction, ...]
    head: bytes
    from_line: bytes
    environment: tuple[bytes, ...]
    forward: Forward
    attempt: Attempt
    done: list[Instruction] = field(default_factory=list)
    output: bytes = b""

    def count(self, *actions: Action) -> int:
        """How many steps of these kinds have delivered."""
        return sum(step.action in actions for step in self.done)


class Steps:
    """Carries out jobs, each in a thread of its own."""

    def __init__(self, state: State, hello: bytes, to_launcher: bytes, mail: bytes, maildirs: Maildirs) -> None:
        self._state = state
        self._hello = hello
        self._to_launcher = to_launcher
        self._mail = mail
        self.maildirs = maildirs
        self._lock = threading.Lock()
        self._programs: set[socket.socket] = set()  # connections of programs that run
        self._ending = False

    def end_programs(self) -> None:
        """Have all programs killed that run now, and start no other."""
        with self._lock:
            self._ending = True
            for connection in self._programs:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def carry_out(self, job: Job) -> None:
        """Afterwards the job's attempt has a failure, or all is done. Never raises."""
        content: Content | None = None
        try:
            content = self._content(job.delivery)
            job.forward.content = content
            forwards: list[bytes] = []
            for step in job.steps:
                if step.action is Action.FORWARD:
                    forwards.append(step.target)
                elif not self._step(job, step, content):
                    break
            if forwards:
                job.forward.recipients = tuple(dict.fromkeys(forwards))
                self._send(job)
        except (MailError, OSError) as error:
            job.attempt.failure = error
        except Exception as error:  # noqa: BLE001  # a bug must not end the thread unheard, nor bounce a mail
            job.attempt.failure = internal(repr(error))
        finally:
            if content is not None:
                content.close()

    def _content(self, delivery: Delivery) -> Content:
        """Our own view of it: a large one is fetched again, for its batch is over."""
        if delivery.content is not None:
            return Content(delivery.content, delivery.size)
        return Content(None, delivery.size, lease.fetch_body(self._state, self._hello, delivery.message))

    def _step(self, job: Job, step: Instruction, content: Content) -> bool:
        """Do one; False if it says that no other shall follow. Raises MailError, OSError."""
        go_on = True
        if step.action is Action.MAILDIR:
            attempt = Attempt()
            self.maildirs.deliver([Letter(step.target, job.head, content, attempt)])
            if attempt.failure is not None:
                raise attempt.failure
        elif step.action is Action.MBOX:
            mbox.deliver(step.target, self._mail, job.from_line, job.head, content, job.home)
        else:
            go_on = self._program(job, step.target, content)
        job.done.append(step)
        return go_on

    def _program(self, job: Job, command: bytes, content: Content) -> bool:
        if not os.path.isdir(job.home) and job.home.startswith(self._mail + b"/"):
            make_folder(job.home)
        stdin = content.descriptor()
        try:
            outcome = self._launch(launch.Request(job.home, command, job.environment), stdin)
        finally:
            os.close(stdin)
        job.output += outcome.output
        return judge(outcome, command)

    def _launch(self, request: launch.Request, stdin: int) -> launch.Outcome:
        with self._connect() as connection:
            with self._lock:
                self._programs.add(connection)
                ending = self._ending
            try:
                if ending:
                    raise ConnectionError("this program is stopping")
                return launch.run(connection, self._to_launcher, request, stdin)
            except (OSError, ValueError) as error:
                raise Temporary(451, "4.3.0", "the mailbox's program was interrupted", error) from error
            finally:
                with self._lock:
                    self._programs.discard(connection)

    def _connect(self) -> socket.socket:
        """A launcher that is starting, as at boot and when a mailbox's permission changes, is waited for."""
        until = time.monotonic() + _STARTING
        while True:
            try:
                return launch.connect(self._state)
            except OSError as error:
                if self._ending or time.monotonic() > until:
                    raise Temporary(451, "4.3.0", "programs can't be started now", error) from error
            time.sleep(0.05)

    def _send(self, job: Job) -> None:
        forwarder = Forwarder(self._state, self._hello)
        try:
            forwarder.send([job.forward])
        finally:
            forwarder.close()
        if job.forward.attempt.failure is not None:
            raise job.forward.attempt.failure


def judge(outcome: launch.Outcome, command: bytes) -> bool:
    """Whether later lines count, after a program that succeeded; else raises Permanent, Temporary.  Pure."""
    kind, detail = outcome.letter, outcome.detail.decode("utf-8", "replace")
    if kind == b"E":
        status = int(detail)
        if status in (DONE, ENOUGH):
            return status == DONE
        if status in PERMANENT:
            raise Permanent(554, "5.3.0", f"the mailbox's program refused the message (exit status {status})")
        raise Temporary(451, "4.3.0", f"the mailbox's program failed for now (exit status {status})")
    line = command.decode("utf-8", "replace")
    if kind == b"S":
        raise Temporary(451, "4.3.0", f"the mailbox's program was killed by signal {detail}", f"|{line}")
    if kind == b"L":
        raise Temporary(451, "4.3.0", f"the mailbox's program was ended: {detail}", f"|{line}")
    raise Temporary(451, "4.3.0", "the mailbox's program could not be started", f"|{line}: {detail}")
