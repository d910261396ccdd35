"""`qreceipt ADDRESS`: tell a sender who asks for it that the message has arrived.

It is asked for by Notice-Requested-Upon-Delivery-To with this very address, and told from the null sender, so
that two such programs never talk to each other.
"""

import os
import sys
import time

from appliance import command
from appliance.address import quote
from appliance.errors import MailError, Permanent
from appliance.filters import variable, words
from appliance.injection import Letter, queue
from appliance.message.address_list import AddressError, addresses, parse
from appliance.message.date import mail_date
from appliance.message.header import HeaderTooLargeError, Splitter, name, value

NAME = "qreceipt"
_ASKED = b"notice-requested-upon-delivery-to"


def asked(fields: list[bytes], address: bytes) -> bool:
    """Whether a header asks for a notice about this address; what can't be read asks for nothing."""
    for field in fields:
        if name(field) == _ASKED:
            try:
                found = addresses(parse(value(field)))
            except AddressError:
                continue
            if any(one.plain.lower() == address.lower() for one in found):
                return True
    return False


def notice(fields: list[bytes], address: bytes, sender: bytes, now: int, process: int) -> bytes:
    """The message to the sender. Pure."""
    t = time.gmtime(now)
    stamp = time.strftime("%Y%m%d%H%M%S", t).encode() + b".%d.qreceipt@" % process + address.rpartition(b"@")[2]
    about = [value(field).strip() for field in fields if name(field) == b"message-id"]
    lines = [
        b"Date: " + mail_date(now),
        b"Message-ID: <" + stamp + b">",
        b"From: Delivery notice <" + quote(address) + b">",
        b"To: <" + quote(sender) + b">",
        b"Subject: your mail has arrived",
        b"Auto-Submitted: auto-replied",
        *(b"In-Reply-To: " + b" ".join(one.split()) for one in about[:1]),
        b"",
        b"Your mail has been delivered to <" + address + b">, as you asked to be told.",
        b"Nobody has read it yet, as far as this program knows.",
    ]
    return b"\n".join(lines) + b"\n"


def main() -> int:
    """Send the notice if it is asked for; 0, 100, 111."""
    arguments = words(sys.argv)
    if len(arguments) != 1:
        command.die(command.PERMANENT, NAME, "usage: qreceipt address")
    sender = variable(NAME, b"SENDER")
    splitter = Splitter()
    try:
        for piece in command.read():
            if splitter.feed(piece) is not None:
                break
        else:
            splitter.end()
    except HeaderTooLargeError as error:
        command.die(command.PERMANENT, NAME, str(error))
    except OSError as error:
        command.die(command.TEMPORARY, NAME, f"cannot read the message: {error.strerror}")
    # a sender that can't stand in a header line is nobody's
    if sender in (b"", b"#@[]") or b"\n" in sender or not asked(splitter.fields, arguments[0]):
        return 0
    text = notice(splitter.fields, arguments[0], sender, int(time.time()), os.getpid())
    try:
        queue(command.state(), Letter(b"", (sender,), [text]), os.environb)
    except Permanent as error:
        command.die(command.PERMANENT, NAME, error.text)
    except MailError as error:
        command.die(command.TEMPORARY, NAME, f"{error.text}: {error.cause}")
    return 0
