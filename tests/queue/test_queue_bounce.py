"""Who a bounce goes to."""

import pytest
from queue_parts import make_state

from appliance.control import Control
from appliance.queue.bounce import addressee, compose


@pytest.mark.parametrize(
    ("sender", "ends"),
    [
        (b"bob@elsewhere.example", (b"", b"bob@elsewhere.example")),
        (b"list-@lists.example-@[]", (b"", b"list-@lists.example")),  # VERP
        (b"", (b"#@[]", b"postmaster@mx.example.org")),
        (b"#@[]", None),
    ],
)
def test_addressee(tmp_path, sender, ends):
    """The sender is told; of a failed bounce the postmaster; after that nobody."""
    assert addressee(sender, Control(make_state(tmp_path)).current()) == ends


def test_names_come_from_control(tmp_path):
    """bouncefrom, bouncehost, doublebounceto and doublebouncehost are obeyed."""
    files = {
        "bouncefrom": "robot",
        "bouncehost": "b.example",
        "doublebounceto": "boss",
        "doublebouncehost": "d.example",
    }
    generation = Control(make_state(tmp_path, **files)).current()
    letter = compose(b"", [b"<x>:\ny\n\n"], b"A: b\n\n", True, generation, 0.0)
    assert letter.recipient == b"boss@d.example"
    assert b"From: robot@b.example\n" in letter.content
    assert b"program at b.example.\n" in letter.content
