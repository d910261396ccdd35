"""Destinations that hang: the hosts that play them, the order of the mail, and what is asked."""

import socket
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # bench/ is no part of the installed package

from bench.cell import Ports
from bench.experiments import destinations
from bench.many_hosts import ManyHosts, Seen


def test_the_hosts_do_what_they_are_told():
    """One takes a message, one is mute, one does not accept, one refuses; each is counted for itself."""
    port = Ports().take()
    with ManyHosts(["takes", "mute", "full", "refuses"], port) as hosts:
        with socket.create_connection((hosts.address(0), port), timeout=5) as good:
            good.sendall(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nSubject: DATA\r\n\r\n.\r\nQUIT\r\n")
            answers = b""
            while b"221" not in answers:
                answers += good.recv(1000)
        assert answers.count(b"250 ") == 4
        with (
            socket.create_connection((hosts.address(1), port), timeout=0.2) as mute,
            pytest.raises(TimeoutError),
        ):
            mute.recv(1)
        with pytest.raises(TimeoutError):
            socket.create_connection((hosts.address(2), port), timeout=0.2)
        with socket.create_connection((hosts.address(3), port), timeout=5) as rude:
            assert rude.recv(100).startswith(b"421")
        assert (hosts.seen(0).messages, hosts.seen(0).connections, hosts.seen(0).most) == (1, 1, 1)
        assert hosts.seen(1).connections == 1
        assert hosts.seen(2) == Seen()
        assert hosts.taken() == 1


def test_the_clock_runs_for_the_good_ones():
    """Mail for those that hang is sent before, or in turns with theirs."""
    before, after = destinations._order(destinations._FIRST, 2)
    assert set(before) == set(range(50, 100))
    assert after == [*range(50), *range(50)]
    before, after = destinations._order(destinations._MIXED, 1)
    assert before == []
    assert after[:4] == [50, 0, 51, 1]
    assert destinations._order(destinations._ALONE, 1) == ([], list(range(50)))


def run(way, seconds, hanging=None):
    seen = {"messages_a_connection": 5.0, "most_at_once": 3}
    return {"way": way, "seconds": seconds, "hanging_most_at_once": hanging, "hanging_connections": hanging, **seen}


def test_nine_tenths_are_as_fast():
    """Mail in turns is compared with as much mail for hosts that answer, later mail with that alone."""
    ways = [destinations._ALONE, destinations._BESIDE, destinations._MIXED, destinations._FIRST]
    raw = {
        "each": 40,
        "runs": [run(way, seconds, 1) for way, seconds in zip(ways, (0.9, 2.0, 1.9, 1.2), strict=True)],
        "refused": {"messages": 20, "connections": 6.0, "seconds": 6.5},
    }
    goals = destinations.goals(raw)
    assert [goal.reached for goal in goals[:2]] == ["105 %", "75 %"]
    assert [goal.ok for goal in goals] == [True, False, True]
    assert "| alone | 0.90 |" in destinations.table(raw)
