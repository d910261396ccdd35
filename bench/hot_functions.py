"""The pure functions that every message passes, each with an everyday input: one recipient, 4 KiB, one commit for 20.

`cases` gives a name and something to call for each.  bench/microbench.py times them; a test calls each once.
"""

import os
from collections.abc import Callable
from pathlib import Path

from appliance import address, door, envelope, intake, lease, log, message_id, netstring, reply, users
from appliance.control import Generation
from appliance.errors import Result
from appliance.local import plan
from appliance.local.lookup import Book
from appliance.message import received
from appliance.policy import Policy
from appliance.queue import outcome, pending, record, sorting, store
from appliance.queue.held import Held, Message, Worker
from appliance.queue.leases import Channel
from appliance.recipient import Recipients
from appliance.remote import data as wire
from appliance.route import Routes
from appliance.smtpd import commands
from appliance.smtpd.data import Reader

Cases = dict[str, Callable[[], object]]

TOGETHER = 20  # messages in a commit, deliveries in a batch
SENDER, ALICE, LOCAL = b"sender@client.example", b"alice@example.org", b"example.org-alice@example.org"
BODY = b"X" * 71 + b"\n"
CONTENT = (
    b"Received: from a by b; Sun, 22 Nov 2026 13:00:00 -0000\nFrom: a@client.example\nSubject: hot\n\n" + BODY * 55
)
ON_THE_WIRE = CONTENT.replace(b"\n", b"\r\n") + b".\r\n"
BORN = 1_795_350_000_000_000  # a message id, so microseconds since 1970


def cases(folder: Path) -> Cases:
    """All of them, in the order of a message's way; `folder` is empty and theirs."""
    generation = make_generation(folder)
    return {**framing(), **smtpd_side(generation), **queue_side(), **delivery_side(folder, generation), **logging()}


def make_generation(folder: Path) -> Generation:
    """A configuration with a thousand mailboxes."""
    (folder / "control").mkdir()
    (folder / "users").mkdir()
    lines = [b"=example.org-box%d:box:1:1:mail/example.org/box%d:::\n" % (n, n) for n in range(1000)]
    alice = b"=example.org-alice:alice:1:1:mail/example.org/alice:::\n"
    wildcard = b"+example.org-:domain:1:1:mail/example.org:-::\n"
    (folder / "users/cdb").write_bytes(users.build(b"".join([*lines, alice, wildcard, b".\n"])))
    (folder / "control/me").write_text("mx.example.org\n")
    (folder / "control/virtualdomains").write_text("example.org:example.org\n")
    return Generation(folder)


def framing() -> Cases:
    """What all programs say to each other."""
    letter = envelope.encode(SENDER, [ALICE])
    frames = netstring.encode(letter + CONTENT) * TOGETHER
    answers = netstring.encode(b"K1jzv3x0q8ma") * TOGETHER
    delivery = a_delivery(0)
    frame = lease.encode_delivery(delivery)
    payload = netstring.Decoder(lease.FRAME).feed(frame)[0]
    reports = [lease.Report(Result.DONE, b"")]
    report = netstring.Decoder(lease.FRAME).feed(lease.encode_report(BORN, reports))[0]
    return {
        "netstring: 20 frames of 4 KiB": lambda: netstring.Decoder(intake.FRAME).feed(frames),
        "netstring: 20 short answers": lambda: netstring.Decoder(intake.FRAME).feed(answers),
        "envelope: encode": lambda: envelope.encode(SENDER, [ALICE]),
        "envelope: decode": lambda: envelope.decode(letter),
        "intake: request of 4 KiB": lambda: intake.request(SENDER, [ALICE], CONTENT),
        "intake: read an answer": lambda: intake.accepted(b"K1jzv3x0q8ma"),
        "lease: encode a delivery": lambda: lease.encode_delivery(delivery),
        "lease: decode a delivery": lambda: lease.decode_delivery(payload),
        "lease: encode a report": lambda: lease.encode_report(BORN, reports),
        "lease: decode a report": lambda: lease.decode_report(report),
        "door: hello": lambda: door.hello("local", b"0" * 64),
        "message id: text": lambda: message_id.text(BORN),
    }


def a_delivery(number: int) -> lease.Delivery:
    """One as the queue hands it out."""
    return lease.Delivery(BORN + 2 * number + 1, BORN + 2 * number, 1, b"", SENDER, (LOCAL,), len(CONTENT), CONTENT)


def smtpd_side(generation: Generation) -> Cases:
    """From the client's bytes to a request."""
    policy, recipients = Policy(Recipients(generation).standing), Recipients(generation)

    def read_data() -> bytes:
        reader = Reader(0, 100)
        reader.feed(ON_THE_WIRE)
        return reader.take()

    def read_in_pieces() -> bytes:
        reader = Reader(0, 100)
        for start in range(0, len(ON_THE_WIRE), 1460):
            reader.feed(ON_THE_WIRE[start : start + 1460])
        return reader.take()

    def standing_anew() -> object:
        return recipients.standing(ALICE)

    return {
        "smtpd: EHLO name": lambda: commands.helo(b"client.example"),
        "smtpd: MAIL": lambda: commands.mail(b"FROM:<sender@client.example>"),
        "smtpd: MAIL with parameters": lambda: commands.mail(b"FROM:<sender@client.example> SIZE=4096 BODY=8BITMIME"),
        "smtpd: RCPT": lambda: commands.rcpt(b"TO:<alice@example.org>"),
        "smtpd: RCPT quoted": lambda: commands.rcpt(b'TO:<"a b"@example.org>'),
        "smtpd: policy, known recipient": lambda: policy.refusal(SENDER, ALICE, 0, may_relay=False),
        "smtpd: standing, first time": standing_anew,
        "smtpd: DATA of 4 KiB in one read": read_data,
        "smtpd: DATA of 4 KiB in packets": read_in_pieces,
        "smtpd: Received line": lambda: received.header(
            b"client.example", b"192.0.2.1", b"mx", b"ESMTP", 1_795_350_000
        ),
    }


def queue_side() -> Cases:
    """From a request to a lease, and from a report to the end."""
    routes = Routes(frozenset({b"mx.example.org"}), {b"example.org": b"example.org"}, b"mx.example.org")
    sorter, stamp, ids = sorting.Sorter(routes), sorting.Stamp(), sorting.Ids(0)
    fifty = tuple(b"user%d@host%d.example" % (n, n % 5) for n in range(50))
    arriving = [arrival(number) for number in range(TOGETHER)]
    leaving = [store.Change(done=[BORN + 2 * n + 1], finished=[BORN + 2 * n]) for n in range(TOGETHER)]
    journal = b"".join(record.encode(arriving))
    reports = [lease.Report(Result.DONE, b"")]

    def sum_up() -> bool:
        total = pending.Pending()
        total.check(arriving)
        for change in (*arriving, *leaving):
            total.add(change)
        return bool(total)

    return {
        "queue: route of a recipient": lambda: routes.destination(ALICE),
        "queue: sort one recipient": lambda: sorter.sort((ALICE,)),
        "queue: sort fifty recipients": lambda: sorter.sort(fifty),
        "queue: id": lambda: ids.take(1, 1_795_350_000.0),
        "queue: Received line": lambda: stamp.received(BORN, "smtpd", 1_795_350_000.0),
        "queue: record of 20 arrivals": lambda: record.encode(arriving),
        "queue: record of 20 ends": lambda: record.encode(leaving),
        "queue: read a record of 20": lambda: record.decode(journal),
        "queue: sum of 20 that come and go": sum_up,
        "queue: judge a report": lambda: outcome.judge((LOCAL,), reports, last=False),
        "queue: lease and release 20": lease_and_release,
    }


def arrival(number: int) -> store.Change:
    """A message for one mailbox, as it enters the store."""
    message = BORN + 2 * number
    row = store.DeliveryRow(message + 1, message, store.LOCAL, b"", 1.8e9, 0, store.records([LOCAL]), b"")
    return store.Change([store.MessageRow(message, SENDER, len(CONTENT), 1, CONTENT)], [row], last=message + 1)


def lease_and_release() -> int:
    """Twenty deliveries into memory, out to a worker, done."""
    channel, sent = Channel(store.LOCAL), list[bytes]()
    worker = Worker(sent.extend)
    worker.credit = 100
    channel.workers.append(worker)
    for number in range(TOGETHER):
        message = Message(BORN + 2 * number, SENDER, len(CONTENT), CONTENT, 1, [])
        channel.take(Held(message.id + 1, message, b"", 0, (LOCAL,), 0.0))
    channel.dispatch(1.8e9)
    for held in list(worker.leased.values()):
        del worker.leased[held.id]
        channel.release(held)
    return len(sent)


def delivery_side(folder: Path, generation: Generation) -> Cases:
    """What local and remote do with a lease, but for the files and the connection."""
    book = Book(generation, bytes(folder))
    who = book.resident(LOCAL)
    people = users.Users.of(generation)
    dotted = CONTENT + b".\n..\n" + CONTENT
    answer = b"250-mx.example.net\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250 8BITMIME\r\n250 2.0.0 Ok: queued\r\n"
    return {
        "local: who a recipient is": lambda: book.resident(LOCAL),
        "local: what is to be done": lambda: book.plan(who),
        "local: look up in users/cdb": lambda: people.find(b"example.org-alice"),
        "local: look up a wildcard": lambda: people.find(b"example.org-nobody-here"),
        "local: Return-Path": lambda: plan.return_path(SENDER),
        "address: split": lambda: address.split(ALICE),
        "address: quote": lambda: address.quote(ALICE),
        "remote: 4 KiB onto the wire": lambda: wire.encode(CONTENT),
        "remote: 8 KiB with dots onto the wire": lambda: wire.encode(dotted),
        "remote: two replies": lambda: list(reply.Parser().feed(answer)),
    }


def logging() -> Cases:
    """The three lines of every message, written to nowhere."""
    log.setup("bench", lambda _flush: None, os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC))
    name = message_id.text(BORN)
    return {
        "log: received": lambda: log.received(name, "192.0.2.1", b"client.example", SENDER, 1, 4096),
        "log: delivered": lambda: log.delivered(name, ALICE, "maildir mail/example.org/alice", 1, 0.012),
        "log: finished": lambda: log.finished(name, 0.012),
    }


def calibration() -> int:
    """Plain Python of the kind above (bytes, integers, a dict) that no change of ours makes faster."""
    table: dict[bytes, int] = {}
    total = 0
    for number in range(200):
        key = b"key %d" % (number & 31)
        table[key] = table.get(key, 0) + len(key[1:3])
        total += number
    return total
