"""The kinds of text a configuration holds: one function each, which reads it or says what would be right.

The schema names them as `format`; the model reads them with the same functions.  Each
raises ValueError whose text completes "found 'x'; …".
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from appliance import dotqmail, password
from appliance.config import homes
from appliance.config.measures import (
    duration,
    message_size,
    notice_time,
    program_size,
    queue_size,
    report_time,
    returned_size,
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# RFC 1123 section 2.1: letters, digits and hyphens, no hyphen at an end; RFC 1035 section 2.3.4: 63 octets
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
# RFC 5321 section 4.1.2 dot-string, which needs no quotes anywhere
_ATOMS = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+"
_DOT_STRING = re.compile(rf"{_ATOMS}(?:\.{_ATOMS})*\Z")
_VIA = re.compile(r"(smtps?|qmtp)://(\[[^\[\]/@]*\]|[^\[\]/@:]*)(?::([0-9]{1,5}))?/?\Z")
_PORTS = {"smtp": 25, "smtps": 465, "qmtp": 209}


def domain(text: str) -> str:
    """A domain name in lower case."""
    name = text.lower()
    if "@" in name:
        raise ValueError(f"a domain name has no @: {name.rpartition('@')[2] or 'example.org'}")
    if not name.isascii():
        try:
            hint = name.encode("idna").decode()
        except UnicodeError:
            hint = "xn--…"
        raise ValueError(f"write an international name in its ASCII form: {hint}")
    if name.endswith(".") and _is_domain(name[:-1]):
        raise ValueError(f"write it without the dot at the end: {name[:-1]}")
    if not _is_domain(name):
        raise ValueError("a domain name is labels of letters, digits and hyphens with dots between: example.org")
    return name


def _is_domain(name: str) -> bool:
    # a last label of digits only would be an address (RFC 1123 section 2.1)
    labels = name.split(".")
    return len(name) <= 253 and all(map(_LABEL.match, labels)) and not labels[-1].isdigit()


def hostname(text: str) -> str:
    """A fully qualified host name in lower case."""
    if text.replace(".", "").isdigit() or ":" in text:
        raise ValueError("a name is needed, not an address: mx.example.org")
    name = domain(text)
    if "." not in name:
        raise ValueError(f"a fully qualified name is needed, with its domain: {name}.example.org")
    return name


def mail_domain(text: str) -> str:
    """A domain mail is received for."""
    return domain(text)


def local_name(text: str) -> str:
    """The name of a mailbox or an alias, in lower case: what stands before the @."""
    if "@" in text:
        raise ValueError(f"the name alone, without its domain: {text.partition('@')[0]}")
    if not text or len(text) > 64:  # RFC 5321 section 4.5.3.1.1
        raise ValueError("a name has 1 to 64 characters")
    if "/" in text:
        raise ValueError("a name has no slash: it becomes the name of a file")
    if not _DOT_STRING.match(text):
        raise ValueError("a name is letters, digits and !#$%&'*+-=?^_`{|}~, with single dots between")
    return text.lower()


def address(text: str) -> str:
    """A mail address, its domain in lower case."""
    local, at, host = text.rpartition("@")
    if not at or not _DOT_STRING.match(local) or len(local) > 64:
        raise ValueError("a mail address is needed, such as alice@example.org")
    return f"{local}@{domain(host)}"


def target(text: str) -> str:
    """Where an alias leads: a name in its own domain, or a mail address."""
    return address(text) if "@" in text else local_name(text)


def alias_line(text: str) -> str:
    """Where an alias leads, or a dot-qmail line."""
    return delivery_line(text) if is_line(text) else target(text)


def is_line(text: str) -> bool:
    """A dot-qmail line where a name could stand, too."""
    return text.startswith(("|", ".", "&", "#")) or text == "+list"


def ip_address(text: str) -> str:
    """An IP address to listen on."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("an IP address is needed: 127.0.0.1, 0.0.0.0 or ::") from None


def endpoint(text: str) -> str:
    """An IP address, with a port if it is not the usual one."""
    host, colon, port = text.rpartition(":")
    if "]" not in text and text.count(":") != 1:
        return ip_address(text)  # without a port
    if not colon or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError("an address and a port are needed, such as 127.0.0.1:53 or [::1]:53")
    return f"{ip_address(host.strip('[]'))}:{port}"


def network(text: str) -> Network:
    """A network in CIDR form."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        hint = str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError("a network is needed, such as 10.0.0.0/8 or ::1/128") from None
    raise ValueError(f"it has bits set after its prefix; the network is {hint}")


def file_path(text: str) -> str:
    """A file outside the configuration."""
    if not text.startswith("/") or not text.isprintable():
        raise ValueError("an absolute path is needed, such as /run/secrets/name")
    return text


def password_hash(text: str) -> str:
    """A password's hash, never a password."""
    if not password.is_hash(text):
        raise ValueError('a hash is needed, such as "$argon2id$…" in quotes, or {file: /run/secrets/…}')
    return text


def secret(_: str) -> str:
    """Where only a reference may stand."""
    raise ValueError("write {file: /run/secrets/…} and put the secret into that file")


def delivery_line(text: str) -> str:
    """One line of a dot-qmail file."""
    if not text.isprintable():
        raise ValueError("one line of printable text; write several lines as several items")
    try:
        found = dotqmail.instructions(text.encode())
    except dotqmail.DotQmailError:
        raise ValueError("an empty line; ./Maildir/ delivers to the mailbox's Maildir") from None
    if not found:
        return text  # a comment, or +list
    path = found[0].target.decode()
    action = found[0].action
    if action is dotqmail.Action.FORWARD:
        try:
            address(path)
        except ValueError:
            raise ValueError("& and a full mail address, ./Maildir/, or | and a command") from None
    elif action is dotqmail.Action.PROGRAM:
        if not path.strip():
            raise ValueError("a command after the |")
    elif path.startswith("/") or ".." in path.split("/") or not path.strip("./"):
        raise ValueError("a path below the mailbox's folder, such as ./Maildir/")
    return text


def route_domain(text: str) -> str:
    """Which domains a route is for, as the key in smtproutes."""
    if text == "*":
        return ""
    if text.startswith("*."):
        return "." + domain(text[2:])
    if text.startswith("."):
        raise ValueError(f'write sub-domains as "*{text}"')
    return domain(text)


@dataclass(frozen=True, slots=True)
class Via:
    """The next host of a route; no host: the domain's own MX."""

    scheme: str
    host: str
    port: int


def via(text: str) -> Via:
    """Where a route leads."""
    if text == "mx":
        return Via("smtp", "", 0)
    if "@" in text:
        raise ValueError("no user name or password in it; write them as username: and password: {file: …}")
    found = _VIA.match(text)
    if not found:
        raise ValueError('"smtp://host:port" or "smtps://host:port" is needed, or mx for the domain\'s own MX')
    scheme, host, port = found[1], found[2], int(found[3] or _PORTS[found[1]])
    if not 1 <= port <= 65535:
        raise ValueError("a port is 1 to 65535")
    return Via(scheme, _host(host), port)


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(text[1:-1])}]"
        except ValueError:
            raise ValueError("an IPv6 address is needed between the brackets") from None
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        return domain(text)


def control_line(text: str) -> str:
    """A line of a control file."""
    if not text.isprintable():
        raise ValueError("one line of printable text; a file of several lines is a list")
    return text


FORMATS: dict[str, Callable[[str], Any]] = {
    "duration-with-unit": duration,
    "message-size": message_size,
    "queue-size": queue_size,
    "returned-size": returned_size,
    "program-size": program_size,
    "duration-or-end": report_time,
    "duration-or-never": notice_time,
    "host-name": hostname,
    "mail-domain": mail_domain,
    "local-name": local_name,
    "mail-address": address,
    "alias-target": target,
    "alias-line": alias_line,
    "relative-path": homes.relative_path,
    "home": homes.home,
    "dot-qmail-name": homes.dot_qmail_name,
    "ip-address": ip_address,
    "network": network,
    "file-path": file_path,
    "password-hash": password_hash,
    "secret": secret,
    "delivery-line": delivery_line,
    "route-domain": route_domain,
    "route-via": via,
    "control-line": control_line,
}
