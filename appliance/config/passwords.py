"""Passwords of mailboxes to the files of a generation.  Pure.

Hashes of the YAML go into `secrets/`, which is kept apart from the rest (appliance/accounts.py says why);
files that hold a secret are named, never copied.
"""

from pathlib import PurePath

from appliance import accounts, dotqmail
from appliance.accounts import FILE, HASH, PLAIN, Account
from appliance.config.model import Configuration, Domain, Mailbox


def compile_files(configuration: Configuration) -> dict[str, bytes]:
    """The files about passwords; none if nobody has one, and nobody asks."""
    files: dict[str, bytes] = {}
    found = [_account(domain, box) for domain in configuration.domains for box in domain.mailboxes if _secret(box)]
    if found:
        files["secrets/passwords.cdb"] = accounts.build(sorted(found, key=lambda account: account.address))
    folders = {str(PurePath(box.password_file).parent) for box in _mailboxes(configuration) if box.password_file}
    networks = {str(network) for listener in configuration.listeners for network in listener.cleartext}
    for name, lines in (("secretfolders", folders), ("cleartextfrom", networks)):
        if lines:
            files[f"control/{name}"] = "".join(f"{line}\n" for line in sorted(lines)).encode()
    if any(account.kind == PLAIN for account in found):
        files["control/apop"] = b"2\n" if all(account.kind == PLAIN for account in found) else b"1\n"
    return files


def _mailboxes(configuration: Configuration) -> list[Mailbox]:
    return [box for domain in configuration.domains for box in domain.mailboxes]


def _secret(box: Mailbox) -> tuple[bytes, str] | None:
    if box.password is not None:
        return HASH, box.password
    if box.password_file is not None:
        return PLAIN if box.password_plain else FILE, box.password_file
    return None


def _account(domain: Domain, box: Mailbox) -> Account:
    kind, secret = _secret(box) or (b"", "")
    return Account(
        f"{box.name}@{domain.name}".encode(),
        f"mail/{domain.name}/{box.name}".encode(),
        maildir(box),
        kind,
        secret.encode(),
    )


def maildir(box: Mailbox) -> bytes:
    """The Maildir that the mailbox's mail can be fetched from: the first it is delivered to, below its home; b"" if none."""
    for instruction in dotqmail.instructions("\n".join(box.deliver).encode()):
        if instruction.action is dotqmail.Action.MAILDIR:
            return b"/".join(part for part in instruction.target.split(b"/") if part not in (b"", b"."))
    return b""
