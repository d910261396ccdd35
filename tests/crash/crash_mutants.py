"""Programs with a guarantee taken out, and the scene in which the proof must notice."""

from typing import NamedTuple


class Change(NamedTuple):
    """What is changed in `appliance/`: file, text, and what stands there instead."""

    file: str
    old: str
    new: str


class Lack(NamedTuple):
    """A guarantee that is missing.

    program  which is killed; empty: the proof notices without a kill
    says     what it says then
    """

    what: str
    scene: str
    program: str
    says: str
    changes: tuple[Change, ...]


LOST = "nothing waits, and not all has arrived"
_TAKEN = "self.submit(Accepting(self, role, answer, letter, *self.rows(number, letter.sender, whole, ways, now)))"
LACKS = (
    Lack(
        "the queue says K, and commits 20 ms later",
        "by SMTP",
        "queue",
        LOST,
        (
            Change(
                "queue/service.py",
                _TAKEN,
                'answer(b"K1"); ' + _TAKEN.replace("answer", "lambda _: None"),
            ),
            Change("queue/commit.py", "self._soon(self._begin)", "self._later(0.02, self._begin)"),
        ),
    ),
    Lack(
        "smtpd says 250 before the queue has the message",
        "by SMTP",
        "smtpd",
        LOST,
        (
            Change(
                "smtpd/arrival.py",
                "self._door.shared.submit(frame, answered)",
                'answered(b"K1"); self._door.shared.submit(frame, lambda _: None)',
            ),
        ),
    ),
    Lack(
        "a mailbox's mail is reported before it is written",
        "by SMTP",
        "local",
        LOST,
        (
            Change("local/deliver.py", "        self._maildirs.deliver(letters)\n", ""),
            Change("local/deliver.py", "            yield done\n", "            yield done\n        self._maildirs.deliver(letters)\n"),
        ),
    ),
    Lack(
        "a message is written where readers see it",
        "by SMTP",
        "local",
        "surplus: piece",
        (
            Change("local/maildir.py", 'path = folder + b"/tmp" + name', 'path = folder + b"/new" + name'),
            Change("local/maildir.py", 'letter.folder + b"/tmp" + letter.name, letter', 'letter.folder + b"/new" + letter.name, letter'),
        ),
    ),
    Lack(
        "a message that a crash broke off takes the next one of its mbox with it",
        "into an mbox",
        "local",
        LOST,
        (Change("local/mbox.py", "_apart(fd, size) + from_line", "from_line"),),
    ),
    Lack(
        "remote reports what it has not sent yet",
        "several recipients",
        "remote",
        LOST,
        (
            Change("remote/worker.py", "from appliance.lease import", "from appliance.errors import Result\nfrom appliance.lease import"),
            Change(
                "remote/worker.py",
                "                self._take(delivery)\n",
                "                self._take(delivery)\n                self.finish(delivery, [Report(Result.DONE, b'')])\n",
            ),
        ),
    ),
    Lack(
        "a worker forgets who has got the message when the queue ends",
        "several recipients",
        "queue",
        "surplus: whole",
        (Change("remembered.py", "        self._messages[message] = set(recipients)\n", ""),),
    ),
    Lack(
        "pop3d removes a message before QUIT",
        "by POP3",
        "pop3d",
        "gone before QUIT",
        (Change("pop3d/transaction.py", "        self.mailbox.deleted[index] = 1\n", "        self.mailbox._remove(index)\n"),),
    ),
    Lack(
        "a configuration is written where it will be in force",
        "configuration",
        "config",
        "waited in vain",
        (
            Change("config/activate.py", "new = folder.with_name(_UNFINISHED + folder.name)", "new = folder"),
            Change("config/activate.py", "if folder.exists():", "if new != folder:"),
            Change("config/activate.py", "if not _intact(folder, parts):", "if not folder.is_dir():"),
        ),
    ),
    Lack(
        "the row of a large message comes before its file is synced",
        "large",
        "",
        "there is no `fsync queue/body/*`",
        (Change("queue/body.py", "        if ended:\n            os.fsync(file.fd)\n", "        if ended:\n"),),
    ),
    Lack(
        "a program makes a call that nobody has looked at",
        "by SMTP",
        "",
        "local makes the call number 148",
        (Change("local/main.py", "    os.umask(0o077)\n", "    os.umask(0o077)\n    os.sched_rr_get_interval(0)\n"),),
    ),
)  # fmt: skip
