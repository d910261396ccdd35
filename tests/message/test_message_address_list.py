"""Lists of addresses in header fields: what people write, and what they mean."""

import time
from email.utils import getaddresses
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.message.address_list import Address, AddressError, addresses, parse, write

CORPUS = sorted((Path(__file__).parent / "corpus" / "address_lists").iterdir())

MEANINGS = [
    (b"", [], "nobody"),
    (b"joe@host", [b"joe@host"], "an address"),
    (b"joe@a, fred@b", [b"joe@a", b"fred@b"], "commas separate"),
    (b"joe fred", [b"joe", b"fred"], "so do blanks"),
    (b"joe@a fred@b", [b"joe@a", b"fred@b"], "also between full addresses"),
    (b"Joe Blow <joe@a>", [b"joe@a"], "a phrase is no address"),
    (b"J. Q. Blow <joe@a>", [b"joe@a"], "with dots neither"),
    (b'"Blow, Joe" <joe@a>', [b"joe@a"], "a comma in quotes separates nothing"),
    (b"blow@b <joe@a>", [b"joe@a"], "an address before < is a phrase"),
    (b"<joe@a> fred@b", [b"joe@a", b"fred@b"], "after > a new one begins"),
    (b"<joe@a> <fred@b>", [b"joe@a", b"fred@b"], "two in brackets"),
    (b"joe@a (Joe, a (nested) comment)", [b"joe@a"], "comments nest and say nothing"),
    (b"joe (x) @ (y) a", [b"joe@a"], "comments and blanks may stand within an address"),
    (b"joe . blow @ a . b", [b"joe.blow@a.b"], "blanks around dots"),
    (b'"joe blow"@a', [b"joe blow@a"], "quotes are no part of the address"),
    (b'"a\\"b\\\\c"@a', [b'a"b\\c@a'], "nor are the backslashes in them"),
    (b"joe\\@blow@a", [b"joe@blow@a"], "an escaped character is itself"),
    (b"joe@[127.0.0.1]", [b"joe@[127.0.0.1]"], "a literal keeps its brackets"),
    (b"#@[]", [b"#@[]"], "the empty literal"),
    (b"friends: joe@a, fred@b;", [b"joe@a", b"fred@b"], "the members of a group"),
    (b"recipient list not shown: ;", [], "a group of nobody"),
    (b"g: a@a; h: b@b;", [b"a@a", b"b@b"], "two groups without a comma: nobody is lost"),
    (b"g: a@a; b@b", [b"a@a", b"b@b"], "an address after a group"),
    (b"<@r1,@r2:joe@a>", [b"@r1,@r2:joe@a"], "a route belongs to its address"),
    (b"<>", [b""], "the null address"),
    (b",, joe@a,,", [b"joe@a"], "empty elements are none"),
    (b"joe@a,\n fred@b", [b"joe@a", b"fred@b"], "over folds"),
    (b'"joe\n blow"@a', [b"joe blow@a"], "a fold in quotes is its blank"),
    (b"joe@a,\r\n\tfred@b", [b"joe@a", b"fred@b"], "folds of DOS"),
    (b"j\xc3\xb6rg@a", [b"j\xc3\xb6rg@a"], "bytes beyond ASCII pass"),
]


@pytest.mark.parametrize(("text", "meant", "why"), MEANINGS, ids=[row[2] for row in MEANINGS])
def test_a_list_names_these_addresses(text: bytes, meant: list[bytes], why: str) -> None:
    """RFC 822 section 6 as qmail reads it: from right to left."""
    assert [address.plain for address in addresses(parse(text))] == meant


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'"joe', "a quoted string without end"),
        (b"(joe", "a comment without end"),
        (b"((joe)", "one of two comments ends"),
        (b"joe@[127", "a literal without end"),
        (b"<joe@a", "< without >"),
        (b"joe@a>", "> without <"),
        (b"a: joe@a", "a group without its end"),
        (b"joe@a;", "a group without its name"),
        (b"a: b: joe@a;;", "a group in a group"),
        (b"joe\\", "a backslash at the end"),
    ],
)
def test_a_list_that_cant_be_read_is_an_error(text: bytes, why: str) -> None:
    """Guessing would send mail to somebody else."""
    with pytest.raises(AddressError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (b"joe fred", b"joe, fred"),
        (b"  Joe   Blow<joe@a>", b"Joe Blow <joe@a>"),
        (b"J. Q. Blow <joe@a>", b"J. Q. Blow <joe@a>"),
        (b'"Joe  Blow" (x  y)<joe@a>', b'"Joe  Blow" (x  y) <joe@a>'),
        (b"Joe\\ Blow <joe@a>", b'"Joe Blow" <joe@a>'),
        (b"joe @ a . b (Joe)", b"joe@a.b (Joe)"),
        (b"a (x) b", b"a, (x) b"),
        (b"Joe <joe (x) @a>", b"Joe <joe@a> (x)"),
        (b"joe\\@blow@a", b'"joe@blow"@a'),
        (b"g:a@a,b@b;", b"g: a@a, b@b;"),
        (b"g: a@a; h: b@b;", b"g: a@a;, h: b@b;"),
    ],
)
def test_a_list_is_written_with_all_that_was_in_it(text: bytes, written: bytes) -> None:
    """Comments, phrases and groups stay; blanks that were commas become commas."""
    assert write(parse(text), 4) == written


def test_a_list_is_folded_after_commas_at_80_columns() -> None:
    """A continued line begins with two blanks."""
    lines = write(parse(b", ".join(b"person%d@example.org" % n for n in range(9))), len("To: ")).split(b"\n")
    assert lines[0] == b"person0@example.org, person1@example.org, person2@example.org,"
    assert lines[1] == b"  person3@example.org, person4@example.org, person5@example.org,"
    assert max(map(len, lines)) <= 80
    assert write(parse(b"x" * 100 + b"@a, b@c"), 4) == b"x" * 100 + b"@a,\n  b@c"


@pytest.mark.parametrize(
    "text",
    [
        "joe@example.org",
        "Joe Blow <joe@example.org>",
        '"Blow, Joe" <joe@example.org>, fred@example.org',
        "joe@example.org (Joe Blow), Fred <fred@example.org>",
        "friends: joe@example.org, fred@example.org;",
        "undisclosed-recipients:;",
        '"joe blow"@example.org',
    ],
)
def test_pythons_own_reader_agrees_on_what_is_well_formed(text: str) -> None:
    """email.utils, the other reader of this grammar at hand."""
    theirs = [address.replace('"', "") for _, address in getaddresses([text]) if address]
    assert [address.plain.decode() for address in addresses(parse(text.encode()))] == theirs


words = st.text("abcxyz019-_+!", min_size=1, max_size=8).map(str.encode)
hosts = st.lists(words, min_size=1, max_size=3).map(b".".join)
locals_ = st.one_of(st.lists(words, min_size=1, max_size=3).map(b".".join), st.binary(max_size=12).map(bytes))
lists = st.lists(st.tuples(locals_.filter(lambda text: not set(text) & set(b"\r\n")), hosts), max_size=6)


@given(lists)
def test_any_addresses_come_back_from_a_list_of_them(pairs: list[tuple[bytes, bytes]]) -> None:
    """Whatever stands before the @, quoted where it must be."""
    from appliance.message.rewriting import raw

    pairs = [(local, host) for local, host in pairs if local]
    written = b", ".join(write([raw(local + b"@" + host)], 0) for local, host in pairs)
    assert [address.plain for address in addresses(parse(written))] == [b"@".join(pair) for pair in pairs]


@given(st.one_of(st.binary(max_size=60), st.text('ab .,@<>:;"()[]\\\n\t', max_size=40).map(str.encode)))
@example(b"a(x)(y).b")
def test_what_is_written_reads_as_what_was_read(text: bytes) -> None:
    """Any bytes: an error, or a list that means the same once it is written."""
    try:
        parts = parse(text)
    except AddressError:
        return
    written = write(parts, 4)
    again = parse(written)
    assert [address.plain for address in addresses(again)] == [address.plain for address in addresses(parts)]
    assert write(again, 4) == written


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_lists_that_were_trouble_once(path: Path) -> None:
    """The kept corpus: read or refused, and read again alike."""
    test_what_is_written_reads_as_what_was_read.hypothesis.inner_test(path.read_bytes())


def test_a_hundred_thousand_recipients_take_seconds_not_minutes() -> None:
    """Nothing in the grammar looks back."""
    begin = time.process_time()
    for text in (b"a@b, " * 100_000, b"(x)" * 100_000 + b".a", b"a(x)" * 50_000, b"a " * 100_000, b"<" * 100_000):
        try:
            assert all(isinstance(address, Address) for address in addresses(parse(text)))
        except AddressError:
            continue
    assert time.process_time() - begin < 20
