"""What a client may say before it has logged in (RFC 1939 section 4).  Pure: it checks no password.

The way to TLS goes through here: a session that has it makes a new Authorization with `passwords=True` and
offers STLS in its capabilities before (RFC 2595 section 4).
"""

from dataclasses import dataclass

from appliance.pop3d import commands
from appliance.pop3d.commands import Refusal

GIVE_UP = 10  # commands that were none, after which nobody is answered any more

NO_CLEARTEXT = (
    "[SYS/PERM] no passwords without TLS from your address; the postmaster's key is listen.pop3.cleartext_from"
)

_OK = b"+OK\r\n"


@dataclass(frozen=True, slots=True)
class Login:
    """A client says who it is; `digest` is APOP's in place of the password."""

    user: bytes
    password: bytes
    digest: bytes = b""


def capabilities(*, passwords: bool) -> bytes:
    """The answer to CAPA (RFC 2449 section 5, RFC 3206 for the last)."""
    lines = ["TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE NEVER"]
    lines += ["USER"] if passwords else []
    return "".join(f"{line}\r\n" for line in ("+OK", *lines, ".")).encode()


class Authorization:
    """The state of one session before its log-in.

    challenge  what APOP digests, with its angle brackets; empty: APOP is not offered
    passwords  USER and PASS are taken
    """

    def __init__(self, challenge: bytes, *, passwords: bool) -> None:
        self.challenge = challenge
        self.passwords = passwords
        self.quitting = False
        self.bad_commands = 0
        self._user = b""

    @property
    def greeting(self) -> bytes:
        """The first line (RFC 1939 section 7: with the challenge if APOP is offered)."""
        return b"+OK %b\r\n" % (self.challenge or b"POP3 ready")

    def answer(self, line: bytes) -> bytes | Login:
        """The reply to a line, or the log-in that it asks for."""
        try:
            verb, rest = commands.parse(line)
            return self._perform(verb, rest)
        except Refusal as refusal:
            self.bad_commands += 1
            return refusal.reply

    def _perform(self, verb: bytes, rest: bytes) -> bytes | Login:
        match verb:
            case b"USER":
                return self._name(rest)
            case b"PASS":
                return self._login(rest)
            case b"APOP":
                return self._apop(rest)
            case b"CAPA":
                return capabilities(passwords=self.passwords)
            case b"NOOP":
                return _OK
            case b"QUIT":
                self.quitting = True
                return b"+OK goodbye\r\n"
        raise Refusal("log in first")

    def _name(self, rest: bytes) -> bytes:
        if not self.passwords:
            raise Refusal(NO_CLEARTEXT)
        self._user = rest.strip(b" ")
        if not self._user:
            raise Refusal("USER needs a name, the whole address")
        return _OK

    def _login(self, rest: bytes) -> Login:
        if not self.passwords:
            raise Refusal(NO_CLEARTEXT)
        if not self._user:
            raise Refusal("USER first")
        if not rest:
            raise Refusal("PASS needs a password")
        user, self._user = self._user, b""
        return Login(user, rest)  # RFC 1939 section 7: blanks belong to the password

    def _apop(self, rest: bytes) -> Login:
        if not self.challenge:
            raise Refusal("APOP is not offered")
        user, _, digest = rest.strip(b" ").partition(b" ")
        if not user or not digest.strip(b" "):
            raise Refusal("APOP needs a name and a digest")
        return Login(user, b"", digest.strip(b" "))
