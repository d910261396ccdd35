"""`qmail-pop3d MAILDIR`: serves one Maildir to the client on standard input and output, who has logged in already."""

import os
import sys

from appliance.pop3d.mailbox import InUse, Mailbox
from appliance.pop3d.standard import Client, Gone
from appliance.pop3d.transaction import Transaction

ROOT = 1  # exit status: it will not run as root


def main() -> int:
    """Serve one client; the exit status."""
    if os.getuid() == 0:
        sys.stderr.write("qmail-pop3d: will not run as root: what checks passwords drops its rights\n")
        return ROOT
    client = Client(ahead=True)
    try:
        mailbox = _opened()
        if isinstance(mailbox, bytes):
            client.send([mailbox])
            return 0
        transaction = Transaction(mailbox)
        client.send([b"+OK \r\n"])
        while not transaction.quitting:
            answer = transaction.answer(client.line())
            client.send([answer] if isinstance(answer, bytes) else answer)
    except (Gone, OSError):  # nothing is deleted: there was no QUIT, or its answer is not read
        return 0
    return 0


def _opened() -> Mailbox | bytes:
    if len(sys.argv) != 2:
        return b"-ERR [SYS/PERM] qmail-pop3d needs a Maildir\r\n"
    try:
        return Mailbox(sys.argv[1])
    except InUse:
        return b"-ERR [IN-USE] another session has this mailbox\r\n"
    except OSError:
        return b"-ERR [SYS/TEMP] the mailbox can't be opened now\r\n"
