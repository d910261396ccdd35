"""Who a bounce goes to."""

import pytest
from queue_parts import make_state

from appliance.control import Control
from appliance.queue.bounce import About, Bounces


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
    assert Bounces(Control(make_state(tmp_path)).current()).addressee(sender) == ends


def test_names_come_from_control(tmp_path):
    """bouncefrom, bouncehost, doublebounceto and doublebouncehost are obeyed."""
    files = {
        "bouncefrom": "robot",
        "bouncehost": "b.example",
        "doublebounceto": "boss",
        "doublebouncehost": "d.example",
    }
    generation = Control(make_state(tmp_path, **files)).current()
    bounces = Bounces(generation)
    assert bounces.addressee(b"")[1] == b"boss@d.example"
    text = bounces.failure("1x", About(b"", 0.0, b"A: b\n\n", whole=True), [b"<x>:\ny\n\n"], 0.0)
    assert b"From: robot@b.example\n" in text
    assert b"program at b.example.\n" in text
