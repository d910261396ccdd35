"""Does a recipient exist?  The answer at RCPT is the one that delivery would find."""

from pathlib import Path

import pytest

from appliance import users
from appliance.control import Generation
from appliance.recipient import Recipients, Standing

ASSIGN = b"""=example.org-alice:a:1:1:mail/example.org/alice:::
+example.org-:a:1:1:mail/example.org:-::
+caught.example-:c:1:1:mail/caught.example:-::
=postmaster:a:1:1:mail/example.org:-:postmaster:
+undashed:u:1:1:mail/undashed:::
.
"""


def generation(folder: Path) -> Generation:
    files = {
        "control/me": b"mx.example.org\n",
        "control/virtualdomains": b"example.org:example.org\ncaught.example:caught.example\n",
        "control/percenthack": b"percent.example\n",
        "users/cdb": users.build(ASSIGN),
        "mail/example.org/.qmail-team": b"&alice@example.org\n",
        "mail/example.org/.qmail-postmaster": b"&alice@example.org\n",
        "mail/example.org/.qmail-list-default": b"&alice@example.org\n",
        "mail/caught.example/.qmail-default": b"&alice@example.org\n",
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return Generation(folder)


@pytest.mark.parametrize(
    ("recipient", "standing", "reason"),
    [
        (b"alice@example.org", Standing.HERE, "a mailbox"),
        (b"ALICE@Example.Org", Standing.HERE, "in any case"),
        (b"team@example.org", Standing.HERE, "an alias"),
        (b"list-foo@example.org", Standing.HERE, "an alias with an extension, by its default file"),
        (b"nobody@example.org", Standing.UNKNOWN, "no user, no file"),
        (b"alice-foo@example.org", Standing.UNKNOWN, "extensions are not for everybody"),
        (b"@example.org", Standing.UNKNOWN, "no local part"),
        (b"x/../../y@example.org", Standing.UNKNOWN, "a name with slashes leads nowhere"),
        (b"n" * 900 + b"@example.org", Standing.UNKNOWN, "a name too long for a file"),
        (b"anything@caught.example", Standing.HERE, "a catch-all"),
        (b"postmaster", Standing.HERE, "bare postmaster (RFC 5321 section 4.5.1)"),
        (b"nobody", Standing.UNKNOWN, "bare, and nobody"),
        (b"undashed-x", Standing.HERE, "a wildcard without a dash has the default delivery"),
        (b"alice@elsewhere.example", Standing.ELSEWHERE, "not ours"),
        (b"x%elsewhere.example@percent.example", Standing.BEHIND, "not ours, behind a %"),
        (b"x%alice%example.org@percent.example", Standing.UNKNOWN, "ours behind a %, and nobody"),
        (b"alice%example.org@percent.example", Standing.HERE, "ours behind a %"),
    ],
)
def test_standing(tmp_path: Path, recipient: bytes, standing: Standing, reason: str) -> None:
    """Who can't be delivered to is refused at once instead of bounced later."""
    assert Recipients(generation(tmp_path)).standing(recipient) is standing, reason


def test_a_generation_without_users_answers_nothing(tmp_path: Path) -> None:
    """Unknown users are not the same as no list of users."""
    files = generation(tmp_path)
    (tmp_path / "users" / "cdb").unlink()
    with pytest.raises(FileNotFoundError):
        Recipients(files)
