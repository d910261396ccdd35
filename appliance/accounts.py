"""Who may log in, with which password, and where their mail is: the table of one generation.

`STATE/secrets/<generation>/passwords.cdb` beside the generation itself: programs that nobody logs in to may read the
generations and not the hashes.  A record's key is the address in lower case; its fields, between NULs, are home
and Maildir (relative to the state folder and to the home; no Maildir: none is kept), the kind of secret, and the secret:

    hash   the hash itself
    file   a file outside that holds the hash; read at each log-in
    plain  a file outside that holds the password itself, which APOP needs
"""

import hmac
import mmap
import os
from collections.abc import Iterable
from dataclasses import dataclass

from appliance import cdb, password
from appliance.control import Generation

HASH, FILE, PLAIN = b"hash", b"file", b"plain"
_SECRET_FILE = 4096  # bytes


@dataclass(frozen=True, slots=True)
class Account:
    """A mailbox that one can log in to."""

    address: bytes
    home: bytes
    maildir: bytes
    kind: bytes
    secret: bytes


class Accounts:
    """The accounts of one generation."""

    def __init__(self, data: bytes) -> None:
        self._cdb = cdb.Reader(data) if data else None

    @classmethod
    def of(cls, generation: Generation) -> "Accounts":
        """Open the table; a generation without passwords has none. Raises OSError, ValueError if it is damaged."""
        try:
            with open(generation.secrets / "passwords.cdb", "rb") as file:
                return cls(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))  # type: ignore[arg-type]  # as bytes
        except FileNotFoundError:
            return cls(b"")

    def find(self, user: bytes) -> Account | None:
        """The account of an address, or None. Raises ValueError if the table is damaged."""
        address = user.lower()
        record = self._cdb.get(address) if self._cdb else None
        if record is None:
            return None
        fields = record.split(b"\0")
        if len(fields) != 4:
            raise ValueError("damaged passwords.cdb: a record has not four fields")
        return Account(address, *fields)


def build(accounts: Iterable[Account]) -> bytes:
    """The table for these accounts."""
    return cdb.write(
        (account.address, b"\0".join((account.home, account.maildir, account.kind, account.secret)))
        for account in accounts
    )


def proven(table: Accounts, user: bytes, given: bytes, challenge: bytes, digest: bytes) -> Account | None:
    """The account of a user who gave its password, or APOP's digest if there is one.

    Blocks as long as hashing takes. Raises OSError, ValueError if it can't be told.
    """
    account = table.find(user)
    good = accepts_apop(account, challenge, digest) if digest else accepts(account, given)
    return account if good else None


def accepts(account: Account | None, given: bytes) -> bool:
    """Is that the account's password?  No account has one, and it takes as long to find out.

    Blocks as long as hashing takes. Raises OSError, ValueError if the secret can't be used.
    """
    if account is None:
        password.verify(password.stranger(), given)
        return False
    if account.kind == HASH:
        return password.verify(account.secret.decode(), given)
    secret = _read(account)
    if account.kind == PLAIN:
        password.verify(password.stranger(), given)  # as slow as the others
        return hmac.compare_digest(secret, given)
    stored = secret.decode("ascii", "replace")
    if not password.is_hash(stored):
        raise ValueError(
            f"{os.fsdecode(account.secret)} holds no hash that can be verified; `paperpath password` makes one"
            " (a file with the password itself needs `plain: true` beside its name)"
        )
    return password.verify(stored, given)


def accepts_apop(account: Account | None, challenge: bytes, digest: bytes) -> bool:
    """Does the digest prove that the client knows the account's plain secret? Raises OSError, ValueError."""
    password.verify(password.stranger(), digest)  # nobody sees by the time it takes who has an account
    return account is not None and account.kind == PLAIN and password.is_apop(_read(account), challenge, digest)


def _read(account: Account) -> bytes:
    """The first line of a secret's file, without its line end. Raises OSError, ValueError if it is empty."""
    try:
        with open(os.fsdecode(account.secret), "rb") as file:
            line = file.read(_SECRET_FILE).split(b"\n", 1)[0].rstrip(b"\r")
    except PermissionError as error:
        hint = f"uid {os.geteuid()} must be able to read it, and it must be in that folder, not a link out of it"
        raise PermissionError(error.errno, f"{error.strerror}; {hint}", error.filename) from error
    if not line:
        raise ValueError(f"{os.fsdecode(account.secret)} holds no secret")
    return line
