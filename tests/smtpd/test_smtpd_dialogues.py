"""Every file in dialogues/ is a conversation with smtpd, and what the queue has after it.

# what is shown (first line), and other comments
control NAME "text"   a control file for this conversation (in a generation of its own)
C: line               the client sends the line and CRLF
C~ "raw" * 3          the client sends exactly these bytes (as in Python), three times
E:                    the client ends its side of the connection
S: 250 text           the next line of the server begins so
S.                    the server ends the connection
Q: Zfull              the queue answers so from here on (K, Z..., D..., or `hang up`)
M: sender > rcpt rcpt the next message in the queue
M~ "raw"              its content, behind our trace header
N: 1                  so many messages are in the queue now
"""

import ast
import itertools
from pathlib import Path

import pytest
from smtpd_program import Client, Smtpd, generation

DIALOGUES = sorted((Path(__file__).parent / "dialogues").glob("*.txt"))
_numbers = itertools.count()


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    running = Smtpd(tmp_path_factory.mktemp("dialogues") / "state", {})
    yield running
    assert running.stop() == 0


def raw(text: str) -> bytes:
    literal, _, times = text.rpartition("*") if text.rstrip()[-1] != '"' else (text, "", "1")
    return ast.literal_eval("b" + literal.strip()) * int(times)


@pytest.mark.parametrize("path", DIALOGUES, ids=lambda path: path.stem)
def test_dialogue(program, path):
    """The conversation in the file goes as it says."""
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# "), "the first line says what is shown"
    control = dict(line.split(" ", 2)[1:] for line in lines if line.startswith("control "))
    generation(program.state, f"dialogue{next(_numbers)}", {k: ast.literal_eval(v) for k, v in control.items()})
    program.queue.answer = b"K"
    program.queue.messages.clear()
    with program.connect() as client:
        for number, line in enumerate(lines, 1):
            try:
                step(program, client, line)
            except (AssertionError, OSError) as error:
                raise AssertionError(f"{path.name}:{number}: {line}: {error}") from error


def step(program: Smtpd, client: Client, line: str) -> None:
    kind, text = line[:2], line[3:]
    if kind == "C:":
        client.send(text.encode() + b"\r\n")
    elif kind == "C~":
        client.send(raw(text))
    elif kind == "E:":
        client.shut()
    elif kind == "S:":
        got = client.line()
        assert got.startswith(text.encode()), f"the server said {got!r}"
    elif kind == "S.":
        assert client.line() == b"", "the connection goes on"
    elif kind == "Q:":
        program.queue.answer = None if text == "hang up" else text.encode()
    elif kind == "M:":
        sender, recipients, _ = program.queue.messages[0]
        assert b"%b > %b" % (sender, b" ".join(recipients)) == text.encode(), f"in the queue: {sender} > {recipients}"
    elif kind == "M~":
        content = program.queue.messages.pop(0)[2].split(b"\n", 2)[2]
        assert content == raw(text), f"in the queue: {content!r}"
    elif kind == "N:":
        assert len(program.queue.messages) == int(text), f"in the queue: {program.queue.messages}"
    else:
        assert not line or kind[0] == "#" or line.startswith("control "), "what is that?"
