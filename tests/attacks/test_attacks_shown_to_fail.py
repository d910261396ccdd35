"""Each guarantee taken out: the attack gets through, and the test that should notice does."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import test_attacks_injection as injection
import test_attacks_relay as relay
import test_attacks_smuggling as smuggling
from attacked import Attacked, attacked

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "mutation"))
from mutant import Mutant

CHANGES = {
    "rcpthosts.py": [("if domain in self._hosts:", "if domain.endswith(tuple(self._hosts)):")],
    "policy.py": [("standing is not Standing.BEHIND and ", "")],
    "qmtpd/package.py": [(" and sendable(address)", "")],
    "smtpd/data.py": [("self._bare = not self._normalise", "self._bare = False")],
    "smtpd/verbs.py": [
        ('if b"\\r" in line or b"\\0" in line:', "if False:"),
        ('    b"NOOP": _noop,\n', '    b"NOOP": _noop,\n    b"STARTTLS": _noop,\n'),
    ],
    "remote/data.py": [('content = content.replace(b"\\r\\n", b"\\n").replace(b"\\r", b"\\n")', "content = content")],
    "address.py": [('bytes.maketrans(b"\\r\\n\\0", b"___")', 'bytes.maketrans(b"\\n", b"_")')],
}
Test = Callable[..., None]
# what is taken out, the test that notices, its row
NOTICED: list[tuple[str, Test, tuple[object, ...]]] = [
    (
        "a domain of ours is a whole name",
        relay.test_a_recipient_elsewhere_is_refused,
        (b"<x@notexample.org>", relay.DENIED, ""),
    ),
    (
        "what is behind a percent is another host's",
        relay.test_a_recipient_elsewhere_is_refused,
        (b"<x%victim.example@example.org>", relay.DENIED, ""),
    ),
    (
        "an address by QMTP is one address",
        relay.test_qmtp_is_no_way_around,
        (b"x@victim.example> X=.backup.example", b"5.1.3", ""),
    ),
    ("a sender by QMTP is one address", injection.test_an_address_that_is_more_than_one_is_none, (b"x\r@a.example",)),
    ("a bare LF is refused", smuggling.test_a_false_end_does_not_end_a_message_that_comes_in, (b"\n.\n",)),
    ("a bare CR is refused", smuggling.test_a_false_end_does_not_end_a_message_that_comes_in, (b"\r.\r",)),
    ("no bare CR leaves", smuggling.test_whatever_the_next_host_takes_for_a_line_s_end_it_sees_our_lines, ()),
    (
        "a CR in a command line is refused",
        injection.test_a_command_line_is_one_line,
        (b"EHLO a\rInjected: yes", [b"500 5.5.2", b"250 2.0.0"], ""),
    ),
    (
        "a CR in an address is _ in a header",
        injection.test_what_this_machine_s_users_name_is_harmless_where_it_goes,
        (),
    ),
    (
        "STARTTLS is refused",
        smuggling.test_what_follows_starttls_in_the_clear_is_in_the_clear,
        ("smtp", b"STARTTLS", b"502 5.5.1"),
    ),
]


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """One host without any of the guarantees: each test must notice its own."""
    folder = tmp_path_factory.mktemp("careless")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in Mutant(folder, CHANGES).environment.items():
            patch.setenv(name, value)
        with attacked(folder / "host") as running:
            yield running


@pytest.mark.parametrize(("guarantee", "test", "row"), NOTICED, ids=[row[0] for row in NOTICED])
def test_without_it_the_attack_gets_through_and_is_seen(
    careless: Attacked, guarantee: str, test: Test, row: tuple[object, ...]
) -> None:
    """The very test that passes against Paperpath fails against the careless copy."""
    more = {"bare": True} if row in ((b"\n.\n",), (b"\r.\r",)) else {}
    with pytest.raises(AssertionError):
        test(careless, *row, **more)
