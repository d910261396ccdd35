"""What a command line says: paths and their parameters (RFC 5321 section 4.1).  Pure.

An address comes out as the programs keep it: without <>, quotes and backslashes, and
without the source route, which RFC 5321 section 4.1.1.3 tells servers to ignore.
"""

import re

from appliance.errors import Permanent

ADDRESS = 899  # bytes; qmail-smtpd's limit (900 with the NUL that it keeps behind)
DOMAIN = 255  # RFC 5321 section 4.5.3.1.2

_ATEXT_DOT = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~."
_HOST = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

# Path = "<" [ A-d-l ":" ] Mailbox ">", Local-part = Dot-string / Quoted-string, and
# Quoted-string = DQUOTE *QcontentSMTP DQUOTE  (RFC 5321 section 4.1.2)
_MAILBOX = re.compile(
    rb'(?:@[^@:,<>\s"]+(?:,@[^@:,<>\s"]+)*:)?'
    rb'(?:("(?:[ !#-\[\]-~]|\\[ -~])*")|([^"<>@ ]+))'
    rb"(?:@([^<>@ ]*))?"
)
_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_LITERAL = re.compile(rb"\[[A-Za-z0-9:.\-]+\]\Z")


def mail(argument: bytes) -> tuple[bytes, int]:
    """The sender and the declared size (0 if none) of `MAIL` argument. Raises Permanent."""
    if argument[:5].upper() != b"FROM:":
        raise Permanent(501, "5.5.4", "syntax: MAIL FROM:<address>")
    sender, rest = _path(argument[5:].lstrip(b" "), "5.1.7")
    return sender, _mail_parameters(rest) if rest else 0


def rcpt(argument: bytes) -> bytes:
    """The recipient of `RCPT` argument. Raises Permanent."""
    if argument[:3].upper() != b"TO:":
        raise Permanent(501, "5.5.4", "syntax: RCPT TO:<address>")
    recipient, rest = _path(argument[3:].lstrip(b" "), "5.1.3")
    if not recipient:
        raise Permanent(501, "5.1.3", "a recipient is needed")
    if rest.strip(b" "):
        raise Permanent(555, "5.5.4", "RCPT parameters are not supported")
    return recipient


def helo(argument: bytes) -> bytes:
    """The name a client gives itself, whatever it is, if it can stand in a header. Raises Permanent."""
    name = argument.strip(b" ")
    if not name or len(name) > DOMAIN or not name.isascii() or b" " in name:
        raise Permanent(501, "5.5.4", "a host name is needed")
    return name


def _mail_parameters(rest: bytes) -> int:
    """The value of SIZE (RFC 1870) after checking BODY (RFC 6152); nothing else is offered."""
    size = 0
    for parameter in rest.split():
        keyword, _, value = parameter.upper().partition(b"=")
        if keyword == b"SIZE":
            if not value.isdigit() or len(value) > 20:  # RFC 1870 section 3: up to 20 digits
                raise Permanent(501, "5.5.4", "SIZE needs a number")
            size = int(value)
        elif keyword == b"BODY":
            if value not in (b"7BIT", b"8BITMIME"):
                raise Permanent(501, "5.5.4", "BODY is 7BIT or 8BITMIME")
        else:
            raise Permanent(555, "5.5.4", "MAIL parameter not supported")
    return size


def _path(text: bytes, enhanced: str) -> tuple[bytes, bytes]:
    """The address at the start of `text`, and what follows its path."""
    if text[:1] == b"<":
        end = text.find(b">")
        address = text[1:end]
        local, at, domain = address.rpartition(b"@")
        # nearly every address: a dot-string and a host name
        if end > 0 and at and local and not local.translate(None, _ATEXT_DOT) and _host(domain):
            rest = text[end + 1 :]
        else:
            address, rest = _unusual(text, enhanced)
    else:
        address, rest = _unusual(text, enhanced)
    if len(address) > ADDRESS:
        raise Permanent(555, "5.5.4", "address too long")
    if rest and rest[:1] != b" ":
        raise Permanent(501, "5.5.4", "a blank is needed after the address")
    return address, rest


def _host(domain: bytes) -> bool:
    return (
        bool(domain)
        and not domain.translate(None, _HOST)
        and b".." not in domain
        and domain[0] != 0x2E
        and domain[-1] != 0x2E
        and len(domain) <= DOMAIN
    )


def _unusual(text: bytes, enhanced: str) -> tuple[bytes, bytes]:
    """Empty, routed, quoted, literal and bracketless paths."""
    if not text.isascii():
        raise Permanent(553, "5.6.7", "addresses must be ASCII")  # RFC 6531 section 3.5: SMTPUTF8 is not offered
    if text[:2] == b"<>":
        return b"", text[2:]
    bracket = text[:1] == b"<"
    found = _MAILBOX.match(text, bracket)
    if found and (not bracket or text[found.end() : found.end() + 1] == b">"):
        quoted, atoms, domain = found.groups()
        rest = text[found.end() + bracket :]
        local = _PAIR.sub(rb"\1", quoted[1:-1]) if quoted else atoms
        if quoted or not atoms.translate(None, _ATEXT_DOT):
            if domain is None and not quoted:
                return local, rest  # <postmaster> (section 4.1.1.3), and whom else this host may have
            if local and domain and (_host(domain) or _LITERAL.match(domain)):
                return local + b"@" + domain, rest
    raise Permanent(501, enhanced, "syntax error in the address")
