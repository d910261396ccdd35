"""What qmail-inject makes of a header: the envelope, the fields rewritten, the fields that were missing.  Pure."""

from typing import NamedTuple

from appliance.address import quote
from appliance.inject import stamps
from appliance.inject.settings import Settings
from appliance.message import header
from appliance.message.address_list import Address, AddressError, Part, addresses, parse, write
from appliance.message.rewriting import raw, rewrite, words

_NORMAL = frozenset((b"to", b"cc", b"bcc", b"apparently-to"))
_RESENT = frozenset((b"resent-to", b"resent-cc", b"resent-bcc"))
_OTHERS = frozenset(
    b"sender from reply-to return-path return-receipt-to errors-to resent-sender resent-from resent-reply-to".split()
)
_DELETED = frozenset((b"bcc", b"resent-bcc", b"return-path", b"content-length"))
_MAKE_IT_RESENT = _RESENT | {b"resent-sender", b"resent-from", b"resent-reply-to", b"resent-date", b"resent-message-id"}
_FORBIDDEN = (b"\0", b"\n", b"\r")  # in an envelope address: the next program's line would end there


class RefusedError(ValueError):
    """The message can't be sent as it is; says why, for the person who wrote it."""


class Request(NamedTuple):
    """How qmail-inject was called.

    arguments  recipients
    choice     a, h, A or H: which recipients count
    sender     of -f; None without it
    """

    arguments: tuple[bytes, ...] = ()
    choice: str = "A"
    sender: bytes | None = None


class Composed(NamedTuple):
    """A message to be queued: its envelope and its whole header, without the blank line after it."""

    sender: bytes
    recipients: list[bytes]
    header: bytes


def compose(fields: list[bytes], request: Request, settings: Settings, moment: stamps.Moment) -> Composed:
    """The message for these fields. Raises RefusedError."""
    composing = _Composing(fields, request, settings)
    recipients = _checked(composing.recipients())
    sender = composing.sender(moment)
    new = stamps.missing(composing.names, composing.resent, settings, moment)
    if not composing.resent and b"mail-followup-to" not in composing.names:
        new += stamps.followup(composing.public, settings.lists)
    return Composed(_checked([sender])[0], recipients, b"".join([*new, *composing.kept]))


class _Composing:
    """The header as it is read: each field once, in order."""

    def __init__(self, fields: list[bytes], request: Request, settings: Settings) -> None:
        self.names: set[bytes] = set()
        self.kept: list[bytes] = []
        self.public: list[bytes] = []  # To and Cc, as they stand in a header; asked for only by followups
        self._request, self._settings = request, settings
        self._from_header: dict[bool, list[bytes]] = {False: [], True: []}  # recipients; those of resent fields
        self._return_path: bytes | None = None
        for field in fields:
            self._field(field)
        self.resent = bool(self.names & _MAKE_IT_RESENT)

    def _field(self, field: bytes) -> None:
        name = header.name(field)
        letters = self._settings.letters
        if (name == b"from" and "f" in letters) or (name == b"message-id" and "i" in letters):
            return
        if name == b"return-path" and "s" in letters:
            return
        self.names.add(name)
        if name in _NORMAL or name in _RESENT or name in _OTHERS:
            field = self._addresses(name, field)
        if name not in _DELETED:
            self.kept.append(field)

    def _addresses(self, name: bytes, field: bytes) -> bytes:
        """A field of addresses, rewritten."""
        try:
            parts = parse(header.value(field))
        except AddressError as error:
            # qmail 1.09 lets a field of recipients pass and drops them: then nobody knows who did not get the mail
            raise RefusedError(f"cannot read the addresses in {_label(field)}: {error}") from error
        rewritten: list[Part] = [self._rewrite(part) if isinstance(part, Address) else part for part in parts]
        found = addresses(rewritten)
        if name in _NORMAL or name in _RESENT:
            self._from_header[name in _RESENT] += [address.plain for address in reversed(found)]
            if name in (b"to", b"cc") and self._settings.lists:
                self.public += [write([address], 0) for address in found]
        elif name == b"return-path" and self._return_path is None and found:
            self._return_path = found[-1].plain
        label = field[: len(name)] + b":"
        return (label + b" " + write(rewritten, len(label) + 1)).rstrip(b" ") + b"\n"

    def _rewrite(self, address: Address) -> Address:
        return rewrite(address, self._settings.hosts)

    def recipients(self) -> list[bytes]:
        """Arguments in their order, then the header's, from right to left in each field; nobody is left out as a duplicate."""
        choice = self._request.choice
        if choice == "A":
            choice = "a" if self._request.arguments else "h"
        named = [self._rewrite(raw(argument)).plain for argument in self._request.arguments] if choice in "aH" else []
        return named + (self._from_header[self.resent] if choice in "hH" else [])

    def sender(self, moment: stamps.Moment) -> bytes:
        """The envelope sender."""
        letters = self._settings.letters
        if self._request.sender is not None:
            return self._rewrite(raw(self._request.sender)).plain
        if self._return_path is not None:
            return self._return_path + (b"-@[]" if "r" in letters else b"")
        user, host = self._settings.sender_user, self._settings.sender_host
        user += b"-%d.%d" % (moment.seconds, moment.process) if "m" in letters else b""
        user += b"-" if "r" in letters else b""
        address = words(user) if host is None else Address([*words(user), *raw(b"@" + host)])
        return self._rewrite(address).plain + (b"-@[]" if "r" in letters else b"")


def return_path(sender: bytes) -> bytes:
    """The field that `qmail-inject -n` shows the sender by."""
    return b"Return-Path: <" + quote(sender) + b">\n"


def _checked(envelope: list[bytes]) -> list[bytes]:
    for address in envelope:
        if any(character in address for character in _FORBIDDEN):
            raise RefusedError("an address may not contain a line end or NUL")
    return envelope


def _label(field: bytes) -> str:
    return field.partition(b":")[0].decode("ascii", "replace").strip()
