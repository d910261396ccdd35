"""SMTP on a program's standard input: replies to the end, and no message with a bare line end."""

import io

import host

from appliance import injection, reply
from appliance.errors import MailError
from appliance.inject import smtp
from appliance.state import State

WORDS = (
    b"EHLO a\r\n",
    b"MAIL FROM:<",
    b"RCPT TO:<",
    b">\r\n",
    b"DATA\r\n",
    b"\r\n.\r\n",
    b"RSET\r\n",
    b"QUIT\r\n",
    b"NOOP\n",
)
WORDS += (
    b"@a.example",
    b'"',
    b"\\",
    b"@a,@b:",
    b"\n.\n",
    b"\r\n..",
    b"VRFY x\r\n",
    b"(",
    b"\r",
    b"\n",
    b"\0",
    b"\r\n.\n",
)


def target(data: bytes) -> None:
    letters: list[bytes] = []

    def queue(state: State, letter: injection.Letter, environ) -> str:
        content = b"".join(letter.chunks)
        letters.append(content)
        return "1jzv3x0q8ma"

    for environ in ({}, {b"PROTO": b"TCP"}, {b"RELAYCLIENT": b"@x"}):
        letters.clear()
        said = io.BytesIO()
        session = smtp.Session(io.BytesIO(data), said, State(host.generation().folder), host.generation(), environ)
        before, injection.queue = injection.queue, queue
        try:
            session.run()
        except (smtp.GoneError, MailError) as error:
            assert isinstance(error, smtp.GoneError)
        finally:
            injection.queue = before
        codes = [answer.code for answer in reply.Parser().feed(said.getvalue())]
        assert codes[0] == 220
        assert said.getvalue().endswith(b"\r\n")
        assert all(b"\r" not in content for content in letters)
        assert said.getvalue().count(b"250 2.0.0 ok ") == len(letters)
