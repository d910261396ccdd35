"""What is to be done for one recipient: instructions in, steps out.  Pure.

A file that asks for something that can't be done is deferred before any of its lines is carried
out: qmail runs the lines before the bad one, and runs them again at each retry.
"""

from dataclasses import dataclass

from appliance import address
from appliance.dotqmail import Action, Instruction


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps for a recipient: Maildirs (absolute paths), then forwards in one new message.

    steps  if the file has a line that starts a program or writes an mbox: all its lines, to be carried out in their
           order, and neither maildirs nor forwards
    """

    maildirs: tuple[bytes, ...]
    forwards: tuple[bytes, ...]
    steps: tuple[Instruction, ...] = ()


def plan(instructions: list[Instruction], home: bytes) -> Plan:
    """The steps of a dot-qmail file in this home."""
    steps = tuple([_absolute(instruction, home) for instruction in instructions])
    if any(step.action in (Action.PROGRAM, Action.MBOX) for step in steps):
        return Plan((), (), steps)
    maildirs = tuple([step.target for step in steps if step.action is Action.MAILDIR])
    # an address named twice gets one copy
    return Plan(maildirs, tuple(dict.fromkeys(step.target for step in steps if step.action is Action.FORWARD)))


def _absolute(step: Instruction, home: bytes) -> Instruction:
    """A mailbox's path from the root, without slashes at its end."""
    if step.action not in (Action.MAILDIR, Action.MBOX):
        return step
    path = step.target if step.target[:1] == b"/" else home + b"/" + step.target.removeprefix(b"./")
    return Instruction(step.action, path.rstrip(b"/"))


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
