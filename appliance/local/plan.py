"""What is to be done for one recipient: instructions in, steps out.  Pure.

A file that asks for something that can't be done is deferred before any of its lines is carried
out: qmail runs the lines before the bad one, and runs them again at each retry.
"""

from dataclasses import dataclass

from appliance import address
from appliance.dotqmail import Action, Instruction
from appliance.errors import Temporary

_NOT_SERVED = {
    Action.PROGRAM: "program deliveries are not served yet",
    Action.MBOX: "mbox deliveries are not served yet",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps for a recipient: Maildirs (absolute paths), then forwards in one new message."""

    maildirs: tuple[bytes, ...]
    forwards: tuple[bytes, ...]


def plan(instructions: list[Instruction], home: bytes) -> Plan:
    """The steps of a dot-qmail file in this home. Raises Temporary for what is not served yet."""
    maildirs: list[bytes] = []
    forwards: dict[bytes, None] = {}  # an address named twice gets one copy
    for instruction in instructions:
        if instruction.action is Action.MAILDIR:
            target = instruction.target
            maildirs.append((target if target[:1] == b"/" else home + b"/" + target.removeprefix(b"./")).rstrip(b"/"))
        elif instruction.action is Action.FORWARD:
            forwards[instruction.target] = None
        else:
            raise Temporary(451, "4.3.0", _NOT_SERVED[instruction.action])
    return Plan(tuple(maildirs), tuple(forwards))


def delivered_to(recipient: bytes) -> bytes:
    """The line that marks a message on its way through a recipient, and by which loops are found."""
    return b"Delivered-To: " + address.one_line(recipient) + b"\n"


def return_path(sender: bytes) -> bytes:
    """The line for the envelope sender (RFC 5321 section 4.4)."""
    return b"Return-Path: <" + address.one_line(address.quote(sender)) + b">\n"


def forward_sender(sender: bytes, public: bytes, owner: bool, owner_default: bool) -> bytes:
    """The sender of a forward, so that its bounces go to the list's owner if it has one.

    qmail names the local address here, whose virtual domain's prefix makes it unreachable
    from outside; the public address comes back to the same dot-qmail file.
    """
    if not owner or sender in (b"", b"#@[]"):
        return sender
    local, _, domain = public.rpartition(b"@")
    return local + b"-owner-@" + domain + b"-@[]" if owner_default else local + b"-owner@" + domain
