"""The client's side of SMTP (RFC 5321) without a socket: fed replies, it gives bytes to send.

With PIPELINING (RFC 2920) MAIL, the RCPTs and DATA leave together, and the next message's
right behind the dot of the one before, which section 3.1 of it allows in so many words.

    greeting ─220─▶ EHLO ─250─▶ ready      5xx to EHLO ─▶ HELO ─250─▶ ready      all else: refused
    MAIL, RCPT …, DATA ─354─▶ content, dot ─▶ finished
                        └ refused, or nobody accepted ─▶ finished, RSET before the next
"""

from collections import deque
from collections.abc import Callable
from enum import StrEnum

from appliance import address, reply
from appliance.remote.data import DOT
from appliance.remote.transaction import Transaction
from appliance.reply import Reply


class Phase(StrEnum):
    """How far a connection has come."""

    GREETING = "greeting"
    EHLO = "EHLO"
    HELO = "HELO"
    READY = "ready"
    REFUSED = "refused"  # the peer does not want to talk to us at all
    ENDING = "ending"  # 421, QUIT, or nonsense: nothing more may be begun


class Step(StrEnum):
    """What a reply is awaited for."""

    GREETING = "greeting"
    HELLO = "hello"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    FINAL = "dot"
    RSET = "RSET"


# RFC 5321 section 4.5.3.2, seconds; control/timeoutremote shortens them
LIMITS = {
    Step.GREETING: 300,
    Step.HELLO: 300,
    Step.MAIL: 300,
    Step.RCPT: 300,
    Step.DATA: 120,
    Step.FINAL: 600,
    Step.RSET: 300,
}


class Client:
    """One connection's dialogue.

    Begin a transaction when there is `room`; after each call send what `output` gives.
    """

    def __init__(self, helo: bytes) -> None:
        self.phase = Phase.GREETING
        self.refusal: Reply | None = None  # of the greeting or of our name
        self.broken: str | None = None  # why the connection must be dropped at once
        self.pipelining = False
        self.eight_bit = False
        self.utf8 = False
        self.size: int | None = None  # None: SIZE is not offered; 0: no limit (RFC 1870)
        self.stream: Transaction | None = None  # its content is to be sent now, then `streamed()`
        self.replies = 0  # that have come
        self._helo = helo
        self._parser = reply.Parser()
        self._output: list[bytes] = []
        self._expected: deque[tuple[Step, Transaction | None]] = deque(((Step.GREETING, None),))
        self._open: deque[Transaction] = deque()
        self._active: Transaction | None = None  # between MAIL and dot
        self._finished: list[Transaction] = []
        self._on: dict[Step, Callable[[Reply, Transaction], None]] = {
            Step.MAIL: self._on_mail,
            Step.RCPT: self._on_rcpt,
            Step.DATA: self._on_data,
            Step.FINAL: self._on_final,
        }

    # -- for the session ------------------------------------------------------------------

    @property
    def room(self) -> bool:
        """Whether a transaction can begin."""
        return self.phase is Phase.READY and self._active is None and (self.pipelining or not self._expected)

    @property
    def waiting(self) -> Step | None:
        """What the next reply is awaited for."""
        return self._expected[0][0] if self._expected else None

    @property
    def dot_outstanding(self) -> bool:
        """Whether the peer may have a message whose answer has not come."""
        return any(transaction.dot_sent for transaction in self._open)

    def output(self) -> bytes:
        """What is to be sent now."""
        output, self._output = self._output, []
        return output[0] if len(output) == 1 else b"".join(output)

    def begin(self, transaction: Transaction) -> None:
        """Start a transaction; there must be room."""
        self._active = transaction
        self._open.append(transaction)
        self._expected.append((Step.MAIL, transaction))
        if not self.pipelining:
            self._output.append(self._mail(transaction))
            return
        recipients = transaction.recipients
        self._expected.extend([(Step.RCPT, transaction)] * len(recipients))
        self._expected.append((Step.DATA, transaction))
        rcpts = [b"RCPT TO:<%b>\r\n" % address.quote(recipient) for recipient in recipients]
        self._output.append(self._mail(transaction) + b"".join(rcpts) + b"DATA\r\n")

    def receive(self, data: bytes) -> list[Transaction]:
        """Take bytes from the peer; return the transactions that have ended."""
        try:
            for answer in self._parser.feed(data):
                self._take(answer)
                if self.broken:
                    break
        except reply.ReplyError as error:
            self._break(str(error))
        finished, self._finished = self._finished, []
        return finished

    def streamed(self) -> None:
        """The content of `stream` has been sent, with the end of its last line: the dot follows."""
        transaction, self.stream = self.stream, None
        assert transaction is not None
        self._output.append(DOT)
        self._sent(transaction)

    def quit(self) -> None:
        """Say goodbye; the answer is not waited for."""
        self._output.append(b"QUIT\r\n")
        self.phase = Phase.ENDING

    def lost(self, cause: str) -> list[Transaction]:
        """The connection is gone: the transactions it leaves unfinished."""
        self.phase = Phase.ENDING
        unfinished, self._open = list(self._open), deque()
        self._expected.clear()
        for transaction in unfinished:
            transaction.cause = cause
        return unfinished

    # -- replies ------------------------------------------------------------------------------

    def _take(self, answer: Reply) -> None:
        self.replies += 1
        if not self._expected:
            # RFC 5321 section 3.8: a server may say 421 at any time; all else is out of step
            if self.stream is not None and answer.code >= 400:
                self.stream.final, self.stream = answer, None
                self._finish(reset=False)
            self._break(f"unexpected: {answer.text[:80]!r}")
            return
        step, transaction = self._expected.popleft()
        if transaction is not None:
            self._on[step](answer, transaction)
        elif step is not Step.RSET:
            self._on_hello(step, answer)
        if answer.code == 421 and self.phase is Phase.READY:
            self.phase = Phase.ENDING

    def _on_hello(self, step: Step, answer: Reply) -> None:
        code = answer.code
        if step is Step.GREETING and code == 220:
            self._hello(Phase.EHLO)
        elif self.phase is Phase.EHLO and code == 250:
            self._extensions(answer)
            self.phase = Phase.READY
        elif self.phase is Phase.EHLO and code >= 500:  # RFC 5321 section 3.2: an old server
            self._hello(Phase.HELO)
        elif self.phase is Phase.HELO and code == 250:
            self.phase = Phase.READY
        else:
            self.refusal = answer
            self.phase = Phase.REFUSED

    def _hello(self, phase: Phase) -> None:
        self.phase = phase
        self._output.append(b"%b %b\r\n" % (phase.encode(), self._helo))
        self._expected.append((Step.HELLO, None))

    def _extensions(self, answer: Reply) -> None:
        for line in answer.lines[1:]:
            keyword, _, value = line.strip().upper().partition(b" ")
            if keyword == b"PIPELINING":
                self.pipelining = True
            elif keyword == b"8BITMIME":
                self.eight_bit = True
            elif keyword == b"SMTPUTF8":
                self.utf8 = True
            elif keyword == b"SIZE":
                self.size = int(value) if value.isdigit() and len(value) <= 20 else 0

    def _mail(self, transaction: Transaction) -> bytes:
        # a double bounce's sender is for our own queue only; for the world it is a bounce's
        sender = b"" if transaction.sender == b"#@[]" else address.quote(transaction.sender)
        command = b"MAIL FROM:<%b>" % sender
        if self.size is not None:
            command += b" SIZE=%d" % transaction.size  # RFC 1870
        if self.eight_bit and transaction.eight_bit:
            command += b" BODY=8BITMIME"  # RFC 6152
        if self.utf8 and not (sender.isascii() and b"".join(transaction.recipients).isascii()):
            command += b" SMTPUTF8"  # RFC 6531
        return command + b"\r\n"

    def _on_mail(self, answer: Reply, transaction: Transaction) -> None:
        transaction.mail = answer
        if not self.pipelining:
            if answer.code < 400:
                self._next_rcpt(transaction)
            else:
                self._finish(reset=False)

    def _on_rcpt(self, answer: Reply, transaction: Transaction) -> None:
        transaction.rcpts.append(answer)
        transaction.accepted += answer.code < 400
        if not self.pipelining:
            self._next_rcpt(transaction)

    def _next_rcpt(self, transaction: Transaction) -> None:
        done = len(transaction.rcpts)
        if done < len(transaction.recipients):
            self._output.append(b"RCPT TO:<%b>\r\n" % address.quote(transaction.recipients[done]))
            self._expected.append((Step.RCPT, transaction))
        elif transaction.accepted:
            self._output.append(b"DATA\r\n")
            self._expected.append((Step.DATA, transaction))
        else:
            self._finish(reset=True)

    def _on_data(self, answer: Reply, transaction: Transaction) -> None:
        transaction.data = answer
        assert transaction.mail is not None
        if not 300 <= answer.code < 400:
            self._finish(reset=True)
            if answer.code < 300:  # the peer does not wait for the content; it would read it as commands
                self._break(f"answer to DATA: {answer.text[:80]!r}")
        elif not transaction.accepted:
            # RFC 2920 section 3.1: all were refused and yet DATA was not: a lone dot ends it
            self._output.append(DOT)
            self._expected.append((Step.FINAL, transaction))
        elif transaction.mail.code >= 400:
            self._break("recipients accepted, and the content asked for, after MAIL was refused")
        elif transaction.body is None:
            self.stream = transaction
        else:
            self._output += (transaction.body, DOT)
            self._sent(transaction)

    def _sent(self, transaction: Transaction) -> None:
        transaction.dot_sent = True
        self._expected.append((Step.FINAL, transaction))
        self._active = None

    def _on_final(self, answer: Reply, transaction: Transaction) -> None:
        transaction.final = answer
        self._finish(reset=False)

    def _finish(self, *, reset: bool) -> None:
        """The oldest transaction is over (they end in order)."""
        transaction = self._open.popleft()
        if transaction is self._active:
            self._active = None
        self._finished.append(transaction)
        if reset:  # else the peer still has a sender, and would refuse the next MAIL
            self._output.append(b"RSET\r\n")
            self._expected.append((Step.RSET, None))

    def _break(self, cause: str) -> None:
        self.broken = cause
        self.phase = Phase.ENDING
