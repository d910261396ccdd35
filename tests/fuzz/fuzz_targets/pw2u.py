"""The password file and the helper files of qmail-pw2u: Unfit, or lines that qmail-newu takes if the names are sound.

The input's first line holds mailnames, include and exclude (with ; for line ends), its second subusers; the rest is
the password file.
"""

from pathlib import Path

from appliance import users
from appliance.qmail import pw2u

WORDS = (
    b":",
    b"joe:x:7:7::/home/joe:/bin/sh\n",
    b"alias:x:8:8::/a:/bin/sh\n",
    b"\n",
    b";",
    b"A",
    b"\0",
    b"9" * 30,
    b"-",
)


def target(data: bytes) -> None:
    lines = [*data.split(b"\n", 2), b"", b""]
    names, include, exclude = (lines[0] + b"||").split(b"|")[:3]
    wishes = pw2u.wishes([], Path("/nonexistent"))
    wishes.look = False
    wishes.mailnames = {
        user.lower(): rest for user, colon, rest in (n.partition(b":") for n in names.split(b";")) if colon
    }
    wishes.include = frozenset(include.split(b";")) if include else None
    wishes.exclude = frozenset(exclude.split(b";")) - {b""}
    wishes.subusers = lines[1].split(b";")
    try:
        made = list(pw2u.assign([line + b"\n" for line in lines[2].split(b"\n")], wishes))
    except pw2u.Unfit:
        return
    assert made[-1] == b".\n"
    try:
        users.build(b"".join(made))
    except ValueError as error:  # a helper file with a NUL in it
        assert b"\0" in data, error
