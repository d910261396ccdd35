"""YAML as Paperpath reads it."""

import pytest

from appliance.config.load import load
from appliance.config.problem import ConfigError, Finding

PLAIN = [
    ("true", True),
    ("false", False),
    ("null", None),
    ("", None),
    ("0", 0),
    ("42", 42),
    ("-3", -3),
    ("012", "012"),  # stock YAML: 10
    ("25:00", "25:00"),  # stock YAML: 1500
    ("0x1f", "0x1f"),
    ("1_000", "1_000"),
    ("1.5", "1.5"),
    ("1e3", "1e3"),
    ("+1", "+1"),
    ("-0", 0),
    ("yes", "yes"),
    ("no", "no"),
    ("on", "on"),
    ("True", "True"),
    ("NULL", "NULL"),
    ("~", "~"),
    ("2026-01-01", "2026-01-01"),
    (".inf", ".inf"),
    ("=", "="),
    ("'1'", "1"),
    ('"true"', "true"),
    ('""', ""),
    ("99999999999999999999", "99999999999999999999"),
    ("127.0.0.1/32", "127.0.0.1/32"),
    ("$argon2id$v=19$m=65536,t=3", "$argon2id$v=19$m=65536,t=3"),  # outside braces a comma is a comma
]


@pytest.mark.parametrize(("text", "value"), PLAIN)
def test_a_value_is_what_it_looks_like(text, value):
    """Words, decimal integers and nothing are themselves; all else is text."""
    assert load(f"key: {text}\n".encode(), "f").tree == {"key": value}


@pytest.mark.parametrize("key", ["true", "null", "1", "012", "no", "~"])
def test_every_key_is_text(key):
    """A mailbox may be called 1 or no."""
    assert load(f"{key}: x\n".encode(), "f").tree == {key: "x"}


def test_positions_are_those_of_an_editor():
    """Line and column count from one, columns count characters, keys and values apart."""
    document = load("é: {ü: [a, bc]}\nd:\n  - e: f\n".encode(), "f")
    assert document.keys[("é", "ü")] == (1, 5)
    assert document.values[("é", "ü", 1)] == (1, 12)
    assert document.keys[("d", 0, "e")] == (3, 5)
    assert document.values[("d", 0, "e")] == (3, 8)


def test_a_problem_at_what_is_not_there_points_to_what_is_around_it():
    """A missing key is shown at the mapping that lacks it."""
    document = load(b"a:\n  b: {c: 1}\n", "mail.yaml")
    assert str(document.problem(Finding(("a", "b", "d"), "missing"))) == "mail.yaml:2:3: a.b.d: missing"
    assert str(document.problem(Finding(("x",), "missing"))) == "mail.yaml:1:1: x: missing"


def test_a_byte_order_mark_is_no_mistake():
    """Some editors write one."""
    assert load(b"\xef\xbb\xbfa: 1\n", "f").tree == {"a": 1}


def test_windows_line_ends_are_line_ends():
    """CRLF changes neither values nor lines."""
    document = load(b"a: x\r\nb: y\r\n", "f")
    assert document.tree == {"a": "x", "b": "y"}
    assert document.keys[("b",)] == (2, 1)


def test_all_mistakes_that_yaml_allows_to_see_are_told_at_once():
    """Duplicates, tags and merge keys do not hide each other."""
    with pytest.raises(ConfigError) as caught:
        load(b"a: 1\na: 2\nb: !!int 3\n<<: {c: 4}\nd: {e: $x$m=1,t=3}\n", "f")
    assert [line.split(": ")[0] for line in caught.value.problems] == ["f:2:1", "f:3:4", "f:4:1", "f:5:8"]


@pytest.mark.parametrize("text", ["[" * 100, "{a: " * 100, "a: " + "[" * 5000 + "]" * 5000])
def test_nesting_without_end_is_refused(text):
    """No file exhausts the stack."""
    with pytest.raises(ConfigError):
        load(text.encode(), "f")


@pytest.mark.parametrize("text", ["{a: x, b}", "{a: $argon2id$m=1,t=2,p=3$x}", "{a: x, b, c: y}"])
def test_a_text_cut_at_its_comma_is_told_without_showing_it(text):
    """What is cut may be a password's hash."""
    with pytest.raises(ConfigError) as caught:
        load(f"k: {text}".encode(), "f")
    assert [line.split(": ", 1)[1] for line in caught.value.problems] == [
        "k.a: the text is cut at its comma; put it in quotes"
    ]


@pytest.mark.parametrize("text", ["{a: , b: }", "{a, b}", "{a, b: }"])
def test_empty_values_that_were_meant_are_not_cut_texts(text):
    """`{alice, bob}` is two plain mailboxes."""
    assert load(text.encode(), "f").tree == {"a": None, "b": None}
