"""What each SMTP command does (RFC 5321 section 4.1.1): a table of verbs.

A verb takes the session and the command's argument and returns the reply; a MailError it
raises is the reply, too.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from appliance.errors import MailError, Permanent, Temporary
from appliance.smtpd import commands

if TYPE_CHECKING:
    from appliance.smtpd.session import Session

_OK = b"250 2.0.0 ok\r\n"
_SENDER_OK = b"250 2.1.0 ok\r\n"
_RECIPIENT_OK = b"250 2.1.5 ok\r\n"
_GO_AHEAD = b"354 go ahead\r\n"
_VRFY = b"252 2.5.0 send some mail and see\r\n"  # RFC 5321 section 7.3: may not tell
_HELP = b"214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT, see RFC 5321\r\n"


def _ehlo(session: "Session", argument: bytes) -> bytes:
    session.helo = commands.helo(argument)
    session.protocol = b"ESMTP"
    session.conduct.command()
    session.forget()
    return session.settings.ehlo_reply


def _helo(session: "Session", argument: bytes) -> bytes:
    session.helo = commands.helo(argument)
    session.protocol = b"SMTP"
    session.conduct.command()
    session.forget()
    return session.settings.helo_reply


def _mail(session: "Session", argument: bytes) -> bytes:
    if not session.helo:
        raise Permanent(503, "5.5.1", "say EHLO first")
    if session.sender is not None:
        raise Permanent(503, "5.5.1", "MAIL was already given")
    sender, size = commands.mail(argument)
    limit = session.settings.size_limit
    if limit and size > limit:  # RFC 1870 section 6.1
        raise session.refuse(Permanent(552, "5.3.4", "message too large"), sender=sender)
    if size >= session.server.door.shared.room:  # RFC 1870 section 6.1: 452 for now
        raise session.refuse(Temporary(452, "4.3.1", "no room for new mail now, try again later"), sender=sender)
    session.sender = sender
    return _SENDER_OK


def _rcpt(session: "Session", argument: bytes) -> bytes:
    sender = session.sender
    if sender is None:
        raise Permanent(503, "5.5.1", "MAIL first")
    recipient = session.our_literal(commands.rcpt(argument))
    settings, recipients = session.settings, session.recipients
    refusal = settings.policy.refusal(sender, recipient, len(recipients), may_relay=session.client.may_relay)
    if refusal is not None:
        raise session.refuse(refusal, recipient=recipient)
    recipients.append(recipient)
    return _RECIPIENT_OK


def _data(session: "Session", argument: bytes) -> bytes:
    if argument:
        raise Permanent(501, "5.5.4", "DATA has no argument")
    if session.sender is None:
        raise Permanent(503, "5.5.1", "MAIL first")
    if not session.recipients:
        raise Permanent(503, "5.5.1", "RCPT first")
    session.begin_content(session.sender)
    return _GO_AHEAD


def _rset(session: "Session", argument: bytes) -> bytes:
    session.conduct.command()
    if argument:
        raise Permanent(501, "5.5.4", "RSET has no argument")
    session.forget()
    return _OK


def _noop(session: "Session", _argument: bytes) -> bytes:
    session.conduct.command()
    return _OK


def _vrfy(session: "Session", argument: bytes) -> bytes:
    session.conduct.command()
    if not argument:
        raise Permanent(501, "5.5.4", "VRFY needs an argument")
    return _VRFY


def _help(session: "Session", _argument: bytes) -> bytes:
    session.conduct.command()
    return _HELP


def _quit(session: "Session", argument: bytes) -> bytes:
    if argument:
        raise Permanent(501, "5.5.4", "QUIT has no argument")
    session.quitting = True
    return session.settings.goodbye


VERBS: dict[bytes, Callable[["Session", bytes], bytes]] = {
    b"EHLO": _ehlo,
    b"HELO": _helo,
    b"MAIL": _mail,
    b"RCPT": _rcpt,
    b"DATA": _data,
    b"RSET": _rset,
    b"NOOP": _noop,
    b"VRFY": _vrfy,
    b"HELP": _help,
    b"QUIT": _quit,
}


def perform(session: "Session", line: bytes) -> bytes:
    """The reply to a command line without its CRLF. Raises what is neither expected nor a MailError."""
    verb, _, argument = line.partition(b" ")
    try:
        if b"\r" in line or b"\0" in line:
            raise Permanent(500, "5.5.2", "a command line holds no CR and no NUL")
        command = VERBS.get(verb.upper())
        if command is None:
            if not verb.isalpha():
                raise Permanent(500, "5.5.2", "that is not a command")
            raise Permanent(502, "5.5.1", "command not implemented")
        return command(session, argument.strip(b" "))
    except MailError as error:
        if 500 <= error.code <= 503 or error.code == 555:
            session.conduct.error()
        return error.reply
