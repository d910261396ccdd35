"""What stands on descriptor 3: name, password and timestamp, or an error that says what is needed."""

from appliance.pop3d import checkpassword

WORDS = (b"\0", b"alice@here.example\0", b"secret\0", b"<1.2@mx>\0", b"x" * 512, b"\xff")


def target(data: bytes) -> None:
    try:
        fields = checkpassword.credentials(data)
    except ValueError as error:
        assert "needed" in str(error)
    else:
        assert data.startswith(b"\0".join((*fields, b"")))
        assert len(data) <= 512
