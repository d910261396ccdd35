"""Names of messages: a number that its own text leads back to, or an error that says what is expected."""

from appliance import message_id

WORDS = (b"1jzv3x0q8ma", b"1700000000000000", b"9" * 40, b"\xd9\xa1", b"\xc2\xb2", b"z" * 40, b" ", b"0")


def target(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        number = message_id.parse(text)
    except ValueError as error:
        assert "message id" in str(error)
        return
    assert 0 < number < 1 << 63, "what no queue can hold can't be asked for"
    assert message_id.parse(message_id.text(number)) == number
