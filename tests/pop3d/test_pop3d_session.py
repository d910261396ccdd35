"""Sessions with a running pop3d: what a client sees, and what is left in the Maildir."""

import os
import re
import time

import pytest
from pop3d_program import Client

ONE = b"From: a\nSubject: one\n\n.dot\n..two\nend\n"
TWO = b"Subject: two\n\n" + b"x" * 100 + b"\n"


def octets(content: bytes) -> int:
    """What a message counts on the wire."""
    whole = content if content.endswith(b"\n") or not content else content + b"\n"
    return len(whole.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


def test_a_mailbox_is_listed_read_and_emptied(pop3d):
    """STAT, LIST, UIDL, RETR and DELE do what RFC 1939 says; QUIT removes what was deleted, the rest is not new any more."""
    first, second = pop3d.fill(ONE, TWO)
    with pop3d.session() as client:
        total = octets(ONE) + octets(TWO)
        assert client.say(b"STAT") == b"+OK 2 %d" % total
        assert client.lines(b"LIST") == [b"1 %d" % octets(ONE), b"2 %d" % octets(TWO)]
        assert client.say(b"LIST 2") == b"+OK 2 %d" % octets(TWO)
        assert client.lines(b"UIDL") == [b"1 " + first.name.encode(), b"2 " + second.name.encode()]
        assert client.lines(b"RETR 1") == ONE.rstrip(b"\n").split(b"\n")
        assert client.say(b"DELE 1")[:3] == b"+OK"
        assert first.exists()
        assert client.say(b"QUIT")[:3] == b"+OK"
        assert client.ended()
    assert os.listdir(pop3d.maildir() / "new") == []
    assert os.listdir(pop3d.maildir() / "cur") == [second.name + ":2,"]
    assert pop3d.wait_for("fetched")["removed"] == 1


def test_trap_33_stat_counts_what_is_left_and_sizes_are_those_of_the_wire(pop3d):
    """STAT leaves deleted messages out, of the number as of the octets; sizes count CRLF; no message gets an empty line more."""
    contents = (ONE, b"a: b\r\n\r\nstored with CRLF\r\n", b"no line end", b"")
    pop3d.fill(*contents)
    with pop3d.session() as client:
        for number, content in enumerate(contents, 1):
            assert client.say(b"LIST %d" % number) == b"+OK %d %d" % (number, octets(content))
            head, _, rest = client.raw(b"RETR %d" % number).partition(b"\r\n")
            unstuffed = re.sub(rb"(?m)^\.", b"", rest.removesuffix(b".\r\n"))
            assert len(unstuffed) == octets(content), head
        client.say(b"DELE 2")
        assert client.say(b"STAT") == b"+OK 3 %d" % sum(octets(each) for each in (contents[0], *contents[2:]))


def test_a_session_that_just_ends_removes_nothing(pop3d):
    """Only QUIT leads to the UPDATE state (RFC 1939 section 6)."""
    (path,) = pop3d.fill(ONE)
    with pop3d.session() as client:
        client.say(b"DELE 1")
    pop3d.wait_for("fetched")
    assert path.exists()


def test_rset_brings_all_back(pop3d):
    """RSET unmarks; LAST, qmail's, is the highest number deleted."""
    pop3d.fill(ONE, TWO)
    with pop3d.session() as client:
        assert client.say(b"LAST") == b"+OK 0"
        client.say(b"DELE 2")
        assert client.say(b"LAST") == b"+OK 2"
        assert client.say(b"DELE 2")[:4] == b"-ERR"
        assert client.say(b"RETR 2")[:4] == b"-ERR"
        assert client.lines(b"UIDL")[1:] == []
        client.say(b"RSET")
        assert client.say(b"LAST") == b"+OK 0"
        assert len(client.lines(b"LIST")) == 2


def test_uidls_stay_between_sessions_and_readers(pop3d):
    """The UIDL is the name up to the colon, whatever flags and folders do."""
    (path,) = pop3d.fill(ONE)
    with pop3d.session() as client:
        before = client.lines(b"UIDL")
        client.say(b"QUIT")
        client.ended()
    assert before == [b"1 " + path.name.encode()]
    os.rename(pop3d.maildir() / "cur" / f"{path.name}:2,", pop3d.maildir() / "cur" / f"{path.name}:2,RS")
    with pop3d.session() as client:
        assert client.lines(b"UIDL") == before


@pytest.mark.parametrize("name", ["1700000000." + "h" * 80, "1700000000.with blank", "1700000000.ü"])
def test_a_name_that_is_no_uidl_has_a_digest_for_one(pop3d, name):
    """RFC 1939 section 7: 1 to 70 visible ASCII characters."""
    (path,) = pop3d.fill(ONE)
    path.rename(path.with_name(name))
    with pop3d.session() as client:
        (line,) = client.lines(b"UIDL")
        assert re.fullmatch(rb"1 [0-9a-f]{40}", line)
    with pop3d.session() as client:
        assert client.lines(b"UIDL") == [line]


def test_the_oldest_comes_first_wherever_it_lies(pop3d):
    """By the time in the name; by the file's for a name without."""
    pop3d.fill(b"a: 2\n\n", first=1_700_000_500)
    (seen,) = pop3d.fill(b"a: 1\n\n", place="cur")
    other = pop3d.maildir() / "new" / "by-hand"
    other.write_bytes(b"a: 3\n\n")
    assert seen.exists()
    with pop3d.session() as client:
        assert [client.lines(b"RETR %d" % number)[0] for number in (1, 2, 3)] == [b"a: 1", b"a: 2", b"a: 3"]


def test_capabilities(pop3d):
    """RFC 2449, before and after the log-in; no STLS before there is TLS."""
    with pop3d.connect() as client:
        told = client.lines(b"CAPA")
        assert {b"USER", b"TOP", b"UIDL", b"PIPELINING", b"RESP-CODES", b"AUTH-RESP-CODE"} <= set(told)
        assert b"STLS" not in told
        client.log_in()
        assert b"UIDL" in client.lines(b"CAPA")


def test_commands_may_come_all_at_once(pop3d):
    """PIPELINING: the answers come in order."""
    pop3d.fill(ONE)
    with pop3d.connect() as client:
        client.send(b"USER alice@example.org\r\nPASS secret\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n")
        answers = [client.line() for _ in range(4)]
        assert answers[:2] == [b"+OK", b"+OK 1 messages"]
        assert answers[2] == b"+OK 1 %d" % octets(ONE)
        assert [client.line() for _ in range(9)][-3:] == [b".", b"+OK ", b"+OK goodbye"]
    assert os.listdir(pop3d.maildir() / "cur") == []


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (b"LIST 0", "numbers begin with 1"),
        (b"LIST 3", "there is none"),
        (b"RETR", "a number is needed"),
        (b"RETR one", "no number"),
        (b"RETR 1 2", "more than a number"),
        (b"RETR 99999999999999999999", "no such number"),
        (b"DELE -1", "no number"),
        (b"TOP 1 x", "no number"),
        (b"TOP", "numbers are needed"),
        (b"STAT 1", "no argument"),
        (b"XTND", "no such command"),
        (b"", "no command"),
        (b"USER alice", "not after the log-in"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_ends(pop3d, command, why):
    """One -ERR each."""
    pop3d.fill(ONE, TWO)
    with pop3d.session() as client:
        assert client.say(command)[:4] == b"-ERR", why
        assert client.say(b"NOOP")[:3] == b"+OK"


def test_top_sends_the_header_and_some_lines(pop3d):
    """TOP n k: header, empty line, k lines; qmail's TOP n is all of it."""
    pop3d.fill(b"a: b\nc: d\n\n1\n.2\n3\n", b"only: header\n")
    with pop3d.session() as client:
        assert client.lines(b"TOP 1 0") == [b"a: b", b"c: d", b""]
        assert client.lines(b"TOP 1 2") == [b"a: b", b"c: d", b"", b"1", b".2"]
        assert client.lines(b"TOP 1 99") == [b"a: b", b"c: d", b"", b"1", b".2", b"3"]
        assert client.lines(b"TOP 1") == [b"a: b", b"c: d", b"", b"1", b".2", b"3"]
        assert client.lines(b"TOP 2 5") == [b"only: header"]


def test_a_second_session_is_told_that_the_mailbox_is_in_use(pop3d):
    """RFC 1939 section 4 wants an exclusive lock, RFC 2449 the code; the lock goes with the session."""
    pop3d.fill(ONE)
    with pop3d.session() as first, pop3d.connect() as second:
        assert second.log_in()[:13] == b"-ERR [IN-USE]"
        first.say(b"QUIT")
        first.ended()
        assert second.log_in()[:3] == b"+OK"
        assert second.say(b"STAT")[:5] == b"+OK 1"


def test_a_message_that_vanishes_is_that_messages_error(pop3d):
    """Another reader may remove it; the others are there, and QUIT is content."""
    first, _ = pop3d.fill(ONE, TWO)
    with pop3d.session() as client:
        first.unlink()
        assert client.say(b"RETR 1")[:15] == b"-ERR [SYS/TEMP]"
        assert client.say(b"TOP 1 1")[:15] == b"-ERR [SYS/TEMP]"
        assert client.lines(b"RETR 2")[0] == b"Subject: two"
        client.say(b"DELE 1")
        assert client.say(b"QUIT")[:3] == b"+OK"


def test_a_message_whose_flags_change_is_found_again(pop3d):
    """An IMAP server moves it to cur/ and marks it as seen while POP3 has the mailbox open."""
    first, second = pop3d.fill(ONE, TWO)
    with pop3d.session() as client:
        moved = pop3d.maildir() / "cur" / f"{first.name}:2,S"
        first.rename(moved)
        assert client.lines(b"RETR 1")[1] == b"Subject: one"
        client.say(b"DELE 1")
        again = moved.with_name(f"{first.name}:2,RS")
        moved.rename(again)
        client.say(b"QUIT")
        client.ended()
        assert not again.exists()
    assert (pop3d.maildir() / "cur" / f"{second.name}:2,").exists()


def test_a_mailbox_that_vanishes_is_an_error_of_its_messages(pop3d):
    """The session lives; the answer to each message is -ERR, to QUIT that nothing is left to do."""
    pop3d.fill(ONE)
    with pop3d.session() as client:
        pop3d.maildir().rename(pop3d.state.root / "elsewhere")
        (pop3d.state.root / "elsewhere" / "new").rename(pop3d.state.root / "gone")
        for path in (pop3d.state.root / "gone").iterdir():
            path.unlink()
        assert client.say(b"RETR 1")[:15] == b"-ERR [SYS/TEMP]"
        client.say(b"DELE 1")
        assert client.say(b"QUIT")[:3] == b"+OK"


def test_a_mailbox_without_any_mail_yet_is_empty(pop3d):
    """The Maildir is made at the first log-in or the first mail, whichever comes first."""
    with pop3d.session("bob") as client:
        assert client.say(b"STAT") == b"+OK 0 0"
        assert client.lines(b"LIST") == []
        assert client.lines(b"UIDL") == []
    assert (pop3d.maildir("bob") / "tmp").is_dir()
    assert pop3d.maildir("bob").stat().st_mode & 0o777 == 0o700


def test_a_mailbox_that_only_forwards_has_no_pop3(pop3d):
    """Nothing is kept there: a permanent error (RFC 3206 section 4)."""
    with pop3d.connect() as client:
        assert client.log_in("erin")[:15] == b"-ERR [SYS/PERM]"


def test_what_writers_left_in_tmp_goes_after_36_hours(pop3d):
    """maildir(5): nobody writes to such a file any more."""
    pop3d.fill(ONE)
    old, young = (pop3d.maildir() / "tmp" / name for name in ("old", "young"))
    for path, hours in ((old, 37), (young, 35)):
        path.touch()
        os.utime(path, (time.time() - hours * 3600,) * 2)
    with pop3d.session() as client:
        client.say(b"NOOP")
    assert not old.exists()
    assert young.exists()


def test_links_and_other_things_in_a_maildir_lead_nowhere(pop3d):
    """Whoever may write into one Maildir can't read another by it; a FIFO holds up nobody."""
    pop3d.fill(ONE)
    (other,) = pop3d.fill(b"secret: of bob\n\n", name="bob")
    cur = pop3d.maildir() / "cur"
    (cur / "1700000001.link").symlink_to(other)
    os.mkfifo(cur / "1700000002.fifo")
    (cur / "1700000003.folder").mkdir()
    (cur / "1700000004.link,W=10:2,").symlink_to(other)
    (cur / ".hidden").write_bytes(TWO)
    with pop3d.session() as client:
        assert client.say(b"STAT")[:5] == b"+OK 2"
        assert client.say(b"RETR 2")[:4] == b"-ERR"


def test_a_maildir_that_is_a_link_is_not_followed(pop3d):
    """Nor any of its folders."""
    pop3d.fill(ONE, name="bob")
    pop3d.maildir().parent.mkdir(parents=True)
    pop3d.maildir().symlink_to(pop3d.maildir("bob"))
    with pop3d.connect() as client:
        assert client.log_in()[:15] == b"-ERR [SYS/TEMP]"
    pop3d.expected_trouble = [pop3d.wait_for("trouble")]


def test_a_change_of_the_configuration_counts_for_the_next_session(pop3d):
    """A session keeps what it began with; a new one sees the new passwords."""
    with pop3d.session() as client:
        yaml = (
            "version: 1\nhostname: mx.example.org\nlisten: {{smtp: {{}}, pop3: {{address: 127.0.0.1, port: {port}}}}}\n"
        )
        yaml += (
            'domains: {{example.org: {{mailboxes: {{bob: {{password: "{hash}"}}}}, aliases: {{postmaster: [bob]}}}}}}\n'
        )
        pop3d.configure(yaml=yaml)
        assert client.say(b"NOOP")[:3] == b"+OK"
        with Client(pop3d.port) as other:
            assert other.log_in("alice")[:11] == b"-ERR [AUTH]"
            assert other.log_in("bob")[:3] == b"+OK"
