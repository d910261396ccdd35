"""The table of fuzz targets: a name, and the bytes from outside that it is about.

Each is a module of this folder with a function `target`, which takes bytes and returns, whatever they are: it lets only
the parser's documented errors happen, and asserts what must hold beside that.  `WORDS` are pieces that
mutations put in; the kept inputs lie in tests/fuzz/corpus/NAME/.
"""

import importlib
from types import ModuleType

TARGETS = {
    "address_list": "address lists of To and Cc, as people write them",
    "admin": "requests at the queue's admin door",
    "assign": "users/assign",
    "backup": "backups of the queue",
    "cdb": "users/cdb, morercpthosts.cdb and passwords.cdb, damaged",
    "checkpassword": "descriptor 3 of checkpassword",
    "control": "control files, given raw",
    "database_pages": "a damaged database of the queue, and its write-ahead log",
    "dns": "DNS answers",
    "doors": "frames at the doors between programs: deliveries, reports, programs, outcomes, silences",
    "dotqmail": "dot-qmail files, and extensions",
    "envelope": "the envelope of qmail-queue",
    "header": "messages given to qmail-inject",
    "import_qmail": "the files of a qmail host for `paperpath import qmail`",
    "journal": "records of the queue's journal",
    "mbox": "messages on their way into an mbox",
    "message_id": "names of messages, as operators type them",
    "morercpthosts": "control/morercpthosts",
    "netstring": "netstrings",
    "pop3": "POP3 commands",
    "pop3_message": "stored messages on their way to a POP3 client",
    "pw2u": "the password file and helper files of qmail-pw2u",
    "qmqp": "QMQP requests",
    "qmtp": "QMTP packages",
    "qmtp_answers": "answers of a QMTP server",
    "report_texts": "what hosts and programs say, in bounces of both formats",
    "sendmail_bs": "SMTP on the standard input of `sendmail -bs`",
    "smtp": "SMTP commands and data",
    "smtp_data": "SMTP data alone, against a simpler reader",
    "smtp_replies": "replies of SMTP servers",
    "tcp_rules": "tcpserver's rules for `paperpath import qmail`",
    "wire_data": "stored messages on their way to an SMTP server",
    "yaml": "mail.yaml",
}


def load(name: str) -> ModuleType:
    """The module of a target; only what it is about is imported."""
    return importlib.import_module(f"fuzz_targets.{name}")
