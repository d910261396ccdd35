"""Names of messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import message_id


@given(st.integers(1, 1 << 62))
def test_the_text_leads_back_to_the_number(number: int) -> None:
    """What an operator types finds the message."""
    assert message_id.parse(message_id.text(number)) == number
    assert message_id.parse(message_id.text(number).upper() + " ") == number


@given(st.integers(10**15, 10**16), st.integers(10**15, 10**16))
def test_ids_sort_as_their_messages_came(first: int, second: int) -> None:
    """Texts of the same length sort as numbers do."""
    texts = message_id.text(first), message_id.text(second)
    if len(texts[0]) == len(texts[1]):
        assert (texts[0] < texts[1]) == (first < second)


def test_ids_grow_even_if_the_clock_steps_back() -> None:
    """No id is used twice."""
    first = message_id.following(0, 1_000_000.0)
    assert first == 1_000_000_000_000
    assert message_id.following(first, 999_999.0) == first + 1
    assert message_id.following(first, 1_000_000.0) == first + 1


def test_an_id_tells_when_the_message_was_accepted() -> None:
    """The retry schedule reads the age from the name."""
    assert message_id.born(message_id.following(0, 1234.5)) == 1234.5


@pytest.mark.parametrize("name", ["", "  ", "0", "hello", "1i", "../etc", "ü", "9" * 19, "z" * 13, "1" * 99, "٣" * 14])
def test_what_is_no_id_is_refused_by_name(name: str) -> None:
    """i, l, o and u are no digits: they are misread too easily."""
    with pytest.raises(ValueError, match="message id"):
        message_id.parse(name)


def test_the_text_of_zero_is_not_empty() -> None:
    """Every number has a text."""
    assert message_id.text(0) == "0"
