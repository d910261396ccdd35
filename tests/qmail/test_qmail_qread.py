"""qmail-qread's lines."""

import pytest

from appliance.qmail.qread import page

ITEM = {
    "message": "1x",
    "born": "2026-11-02T03:04:05Z",
    "size": 210,
    "sender": "a@b.example",
    "failures": 0,
    "done": [],
    "recipients": [],
}
HEAD = "2 Nov 2026 03:04:05 GMT  #1x  210  <a@b.example> "


@pytest.mark.parametrize(
    ("changes", "lines", "why"),
    [
        ({}, [HEAD], "day not padded, in GMT; a blank at the end"),
        ({"failures": 1}, [HEAD + " bouncing"], "somebody has failed for good"),
        ({"sender": ""}, [HEAD.replace("a@b.example", "")], "a bounce"),
        ({"sender": "a b\x1b@x\n"}, [HEAD.replace("a@b.example", "a_b_@x_")], "what a terminal would obey"),
        (
            {
                "done": [{"channel": "local", "address": "x@y"}],
                "recipients": [{"channel": "remote", "address": "z w@y"}],
            },
            [HEAD, "  done\tlocal\tx@y", "\tremote\tz_w@y"],
            "who has it, and who waits",
        ),
    ],
)
def test_a_message_has_a_line_and_one_for_each_recipient(changes, lines, why):
    """As qmail prints them, so that scripts read them."""
    assert list(page({**ITEM, **changes})) == lines, why
