"""How an accepted message falls into deliveries."""

from appliance.queue.sorting import Sorter
from appliance.queue.store import LOCAL, REMOTE
from appliance.route import Routes

ROUTES = Routes(frozenset({b"mx.example.org"}), {b"example.org": b"example.org"}, b"mx.example.org")


def test_recipients_go_together_as_far_as_their_way_is_one() -> None:
    """All local recipients are one delivery, remote ones one for each domain, whatever its case."""
    found = Sorter(ROUTES).sort(
        (b"a@example.org", b"x@Far.example", b"b@example.org", b"y@far.example", b"z@off.example")
    )
    assert found == [
        ((LOCAL, b""), (b"example.org-a@example.org", b"example.org-b@example.org")),
        ((REMOTE, b"far.example"), (b"x@Far.example", b"y@far.example")),
        ((REMOTE, b"off.example"), (b"z@off.example",)),
    ]


def test_a_delivery_has_at_most_a_hundred_recipients() -> None:
    """RFC 5321 section 4.5.3.1.8 promises that a host takes a hundred."""
    found = Sorter(ROUTES).sort(tuple(b"%d@far.example" % n for n in range(250)))
    assert [len(recipients) for _, recipients in found] == [100, 100, 50]


def test_a_sender_for_each_recipient_travels_alone() -> None:
    """With VERP every remote recipient has a sender of its own, so no two share a transaction."""
    found = Sorter(ROUTES).sort((b"x@far.example", b"y@far.example", b"a@example.org", b"b@example.org"), alone=True)
    assert [len(recipients) for _, recipients in found] == [1, 1, 2]


def test_an_empty_local_part_is_the_trash_can() -> None:
    """As in qmail: delivered, to nowhere."""
    assert Sorter(ROUTES).sort((b"@mx.example.org",)) == []


def test_a_list_of_many_at_one_host_is_a_delivery_each() -> None:
    """As many transactions as subscribers, for no two of them have the same sender; all else of the message is shared."""
    found = Sorter(ROUTES).sort(tuple(b"u%d@far.example" % n for n in range(1000)), alone=True)
    assert len(found) == 1000
    assert {way for way, _ in found} == {(REMOTE, b"far.example")}
