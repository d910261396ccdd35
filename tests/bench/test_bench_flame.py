"""Flame graphs: what is left of a stack, what is counted, what is drawn."""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # bench/ is no part of the installed package

from bench import flame

START = "run (appliance/cli/run.py:35);become (appliance/supervise/child.py:30)"
MAIN = f"{START};main (appliance/queue/main.py:33);run (uvloop/__init__.py:38);Loop__run (loop.c:20313)"
COMMIT = f"{MAIN};Writer._begin (appliance/queue/commit.py:114);Journal.append (appliance/queue/journal.py:81)"


def test_only_the_program_is_left_of_a_stack():
    """The supervisor below and the C code between are gone; the system call at the end stays."""
    found = flame.parse([f"{COMMIT};os_pwritev (libpython3.11.so.1.0);pwritev64v2 (libc.so.6) 309"])
    functions = ("main (appliance/queue/main.py)", "Writer._begin (appliance/queue/commit.py)")
    assert dict(found) == {(*functions, "Journal.append (appliance/queue/journal.py)", "pwritev64v2"): 309}


@pytest.mark.parametrize("end", ["epoll_pwait (libc.so.6)", "PyThread_acquire_lock_timed (x.so);0x7f (libc.so.6)"])
def test_waiting_is_no_work(end):
    """A stack that ends in waiting for something to do is not counted."""
    assert not flame.parse([f"{MAIN};{end} 12"])


def test_a_system_call_is_its_caller_s_cost():
    """Costs are named by where a stack ends, and by who called it."""
    folded = flame.parse([f"{COMMIT};pwritev64v2 (libc.so.6) 3", f"{COMMIT} 1"])
    append = "Journal.append (appliance/queue/journal.py)"
    assert flame.own(folded) == [(f"pwritev64v2 < {append}", 0.75), (append, 0.25)]


def test_boxes_lie_on_what_called_them():
    """A function's box lies above its caller's and within it; what is too small is left out."""
    folded = flame.Folded({("a", "b"): 60, ("a", "c"): 39, ("d",): 1})
    assert [(box.frame, round(box.left, 2), round(box.right, 2), box.row) for box in flame.boxes(flame.tree(folded), 0.02)] == [
        ("a", 0.0, 0.99, 0),
        ("b", 0.0, 0.6, 1),
        ("c", 0.6, 0.99, 1),
    ]  # fmt: skip


def test_a_picture_is_well_formed():
    """Names with < and & are text in the SVG."""
    picture = flame.svg(flame.Folded({("f.<locals>.<listcomp> (a&b.py)",): 1}), "a < b")
    assert "a < b" in "".join(ET.fromstring(picture).itertext())
