"""users/assign and the look-up in users/cdb."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import cdb, users
from appliance.control import Generation
from appliance.users import Users

ASSIGN = b"""=alice:alice:101:102:home/alice:::
=Bob:bob:1:1:home/bob::rest-after-seven-colons:ignored
+list-:lists:5:5:home/lists:-:pre-:
+list-sub-:sub:6:6:home/sub:-::
+example.org-:alias:7:7:mail/example.org:-::
=alice:second:1:1:home/second:::
+x-:first:1:1:one:-::
+x-:second:1:1:two:-::
.
what follows the dot is not read
"""


@pytest.mark.parametrize(
    ("local", "name", "dash", "ext", "reason"),
    [
        (b"alice", b"alice", b"", b"", "an exact entry; of two the first wins (trap 1)"),
        (b"ALICE", b"alice", b"", b"", "the look-up folds case"),
        (b"bob", b"bob", b"", b"rest-after-seven-colons", "the key was folded, data keeps case"),
        (b"list-Foo", b"lists", b"-", b"pre-Foo", "a wildcard appends the rest in its own case"),
        (b"list-", b"lists", b"-", b"pre-", "the rest may be empty"),
        (b"list-sub-a-b", b"sub", b"-", b"a-b", "the longest wildcard wins"),
        (b"example.org-team", b"alias", b"-", b"team", "a virtual domain's prefix"),
        (b"x-y", b"first", b"-", b"y", "of two equal wildcards the first wins"),
    ],
)
def test_find(local: bytes, name: bytes, dash: bytes, ext: bytes, reason: str) -> None:
    """Exact before wildcard, longer before shorter."""
    user = Users(users.build(ASSIGN)).find(local)
    assert user is not None, reason
    assert (user.name, user.dash, user.ext) == (name, dash, ext), reason


@given(st.text("aelxist-.org", max_size=40).map(str.encode))
def test_nothing_is_missed_where_the_longest_wildcard_is_known(local: bytes) -> None:
    """What is longer than each of them is not looked up, and was not there."""
    data = users.build(ASSIGN)
    assert users.longest(ASSIGN) == len(b"example.org-")
    assert Users(data, users.longest(ASSIGN)).find(local) == Users(data).find(local)


def test_a_generation_says_how_long_its_wildcards_are(tmp_path: Path) -> None:
    """A hostile name costs no more than that; a file that says nothing of use is an error, not a guess."""
    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "cdb").write_bytes(users.build(ASSIGN))
    generation = Generation(tmp_path)
    for text, found in (("5", "lists"), ("9", "sub")):
        (tmp_path / "users" / "longest").write_text(text + "\n")
        user = Users.of(generation).find(b"list-sub-a")
        assert user is not None
        assert user.name.decode() == found
    (tmp_path / "users" / "longest").write_text("many")
    with pytest.raises(ValueError, match="many"):
        Users.of(generation)


@pytest.mark.parametrize("local", [b"alic", b"alice-x", b"list", b"", b"nobody"])
def test_who_is_not_assigned_is_nobody(local: bytes) -> None:
    """There is no password file to fall back to."""
    assert Users(users.build(ASSIGN)).find(local) is None


def test_trap_01_of_equal_entries_the_first_wins() -> None:
    """In users/assign; in virtualdomains and smtproutes it is the last."""
    found = Users(users.build(b"=a:one:1:1:h:::\n=A:two:2:2:h:::\n+b-:one:1:1:h:-::\n+B-:two:2:2:h:-::\n.\n"))
    for local in (b"a", b"A", b"b-x"):
        user = found.find(local)
        assert user is not None
        assert user.name == b"one"


@pytest.mark.parametrize(("text", "number"), [(b"101", 101), (b"", 0), (b"root", 0), (b"7x", 7), (b"-1", 0)])
def test_a_uid_is_the_digits_it_begins_with(text: bytes, number: int) -> None:
    """Whatever else stands there, it is never an exception."""
    user = Users(users.build(b"=a:u:%b:%b:h:::\n.\n" % (text, text))).find(b"a")
    assert user is not None
    assert (user.uid, user.gid) == (number, number)


def test_the_fields_of_an_assignment() -> None:
    """user, uid, gid, home."""
    user = Users(users.build(ASSIGN)).find(b"alice")
    assert user is not None
    assert (user.name, user.uid, user.gid, user.home) == (b"alice", 101, 102, b"home/alice")


def test_trap_05_a_wildcard_that_ends_in_a_capital_matches() -> None:
    """There the key is folded and the list is not, and this entry is never found; the file is the same."""
    data = users.build(b"+fooX:u:1:1:h:::\n.\n")
    assert cdb.Reader(data).get(b"") == b"X"
    found = Users(data).find(b"fooX1")
    assert found is not None
    assert found.ext == b"1"


def test_trap_06_only_prefixes_that_end_like_some_wildcard_are_tried() -> None:
    """And the empty prefix, the catch-all."""
    found = Users(users.build(b"+:all:1:1:h:-::\n+a-:u:1:1:h:-::\n.\n"))
    assert [found.find(local).ext for local in (b"a-b", b"ab", b"")] == [b"b", b"ab", b""]


def test_the_database_holds_qmail_newu_s_keys_and_data() -> None:
    """`!` and the local part in small letters, NUL after exact ones; six fields; the last characters."""
    reader = cdb.Reader(users.build(ASSIGN))
    assert reader.get(b"!alice\0") == b"alice\x00101\x00102\x00home/alice\0\0"
    assert reader.get(b"!list-") == b"lists\x005\x005\x00home/lists\0-\0pre-"
    assert reader.get(b"") == b"-"


@pytest.mark.parametrize(
    ("assign", "reason"),
    [
        (b"=a:a:1:1:h:::\n", "no final dot"),
        (b"", "empty"),
        (b"=a:a:1:1:h::\n.\n", "five colons after the key"),
        (b"# comment\n.\n", "a comment"),
        (b"\n.\n", "an empty line"),
        (b"=a:a\0:1:1:h:::\n.\n", "NUL"),
        (b":a:1:1:h:::\n.\n", "an empty key"),
    ],
)
def test_a_malformed_assign_file_is_refused(assign: bytes, reason: str) -> None:
    """As qmail-newu does, and the old cdb stays."""
    with pytest.raises(ValueError, match="users/assign"):
        users.build(assign)


def test_a_damaged_record_is_not_nobody() -> None:
    """Mail for a user whose record is damaged must wait, not bounce."""
    with pytest.raises(ValueError, match="damaged"):
        Users(cdb.write([(b"!a\0", b"only\0three\0fields"), (b"", b"")])).find(b"a")


def test_the_file_stays_readable_when_its_generation_is_removed(tmp_path: Path) -> None:
    """A session that began with the old generation ends with it."""
    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "cdb").write_bytes(users.build(ASSIGN))
    found = Users.of(Generation(tmp_path))
    (tmp_path / "users" / "cdb").unlink()
    assert found.find(b"alice") is not None


def test_a_missing_database_is_an_error(tmp_path: Path) -> None:
    """No users/cdb means that nothing is known, not that nobody is."""
    with pytest.raises(FileNotFoundError):
        Users.of(Generation(tmp_path))


LINES = st.lists(
    st.tuples(
        st.sampled_from([b"=", b"+", b"x"]),
        st.text("abA-.", max_size=4).map(str.encode),
        st.sampled_from([b"", b"-"]),
        st.text("ab-", max_size=3).map(str.encode),
    ),
    max_size=8,
)


@given(LINES, st.text("abA-.", max_size=6).map(str.encode))
def test_the_look_up_is_what_the_rules_say(lines: list[tuple[bytes, bytes, bytes, bytes]], local: bytes) -> None:
    """Exact before wildcard, longest wildcard first, of equal ones the first: by comparing each line with the address."""
    assign = b"".join(b"%b%b:u%d:1:1:h:%b:%b:\n" % (k, name, n, d, e) for n, (k, name, d, e) in enumerate(lines))
    exact = [n for n, (kind, name, _, _) in enumerate(lines) if kind != b"+" and name.lower() == local.lower()]
    wild = [n for n, (kind, name, _, _) in enumerate(lines) if kind == b"+" and local.lower().startswith(name.lower())]
    chosen = exact[:1] or sorted(wild, key=lambda n: -len(lines[n][1]))[:1]
    found = Users(users.build(assign + b".\n")).find(local)
    assert (found and found.name) == (b"u%d" % chosen[0] if chosen else None)
    if found and not exact:
        _, name, _, ext = lines[chosen[0]]
        assert found.ext == ext + local[len(name) :]


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parent / "corpus" / "assign").iterdir()), ids=lambda path: path.name
)
def test_files_that_once_were_trouble(path: Path) -> None:
    """Each is refused with its line, or built and searched."""
    understood(path.read_bytes())


@given(st.binary(max_size=80) | st.text("=+.:a-\n\0", max_size=60).map(str.encode))
def test_whatever_stands_in_the_file_is_an_answer(data: bytes) -> None:
    """A list of users, or an error with the number of its line."""
    understood(data)
    understood(data + b"\n.\n")


def understood(data: bytes) -> None:
    try:
        built = Users(users.build(data))
    except ValueError as error:
        assert "users/assign" in str(error)  # noqa: PT017
        return
    for local in (b"", b"a", b"-a-", b"A" * 900):
        user = built.find(local)
        assert user is None or user.uid >= 0


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parent / "corpus" / "cdb").iterdir()), ids=lambda path: path.name
)
def test_damaged_databases_are_an_answer_or_an_error(path: Path) -> None:
    """At once: mail of users behind the damage waits."""
    try:
        damaged = Users(path.read_bytes())
        for local in (b"a", b"b-x", b"other", b"-" * 900):
            damaged.find(local)
    except ValueError as error:
        assert "cdb" in str(error)  # noqa: PT017
