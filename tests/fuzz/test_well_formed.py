"""The other half of fuzzing: what is well-formed is understood, whatever it says (each parser's own tests have more)."""

import ipaddress

import host
import pytest
from fuzz_targets import import_qmail, qmtp
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance import cdb, netstring, rcpthosts, reply
from appliance.config import pipeline
from appliance.config.qmail import tcprules
from appliance.config.qmail.carry import carry
from appliance.config.qmail.tree import read
from appliance.pop3d import checkpassword
from appliance.route import Routes

OURS = [b"here@mx.here.example", b"alice@here.example", b"a@b.wild.here.example", b"Here@MX.here.example"]
OTHERS = [b"no@here.example", b"x@elsewhere.example", b"x%y.example@here.example", b"x" * 1000, b"a\0b@here.example"]
SENDERS = st.sampled_from([b"", b"s@a.example", b"#@[]"])
PACKAGES = st.lists(
    st.tuples(st.booleans(), st.binary(max_size=60), SENDERS, st.lists(st.sampled_from(OURS + OTHERS), max_size=4)),
    max_size=3,
)


@settings(deadline=None)
@given(PACKAGES)
def test_each_recipient_of_each_qmtp_package_has_its_answer(packages):
    """In order; those of ours are accepted."""
    data = b""
    for dos, text, sender, recipients in packages:
        content = b"\r" + text if dos else b"\n" + text
        data += b"".join(map(netstring.encode, (content, sender, b"".join(map(netstring.encode, recipients)))))
    answers, letters, ended = qmtp.talk(data, b"QMTP")
    wanted = [recipient for *_, recipients in packages for recipient in recipients]
    assert ended == ""
    assert [answer[:1] for answer in answers] == [b"K" if each in OURS else b"D" for each in wanted]
    assert [each for letter in letters for each in letter.recipients] == [each for each in wanted if each in OURS]


@settings(deadline=None)
@given(st.binary(max_size=60), SENDERS, st.lists(st.sampled_from(OURS + OTHERS[:3]), max_size=5))
def test_a_qmqp_request_is_taken_whole(text, sender, recipients):
    """For all its recipients, whoever they are."""
    inside = b"".join(map(netstring.encode, (text, sender, *recipients)))
    answers, letters, ended = qmtp.talk(netstring.encode(inside), b"QMQP")
    assert (len(answers), answers[0][:1], ended) == (1, b"K", "")
    assert letters == [(sender, tuple(recipients))]


FIELD = st.binary(max_size=200).map(lambda field: field.replace(b"\0", b""))


@given(FIELD, FIELD, FIELD, st.binary(max_size=20))
def test_checkpassword_reads_what_a_client_writes(name, password, timestamp, rest):
    """Three fields in at most 512 bytes; what follows is not looked at (contracts: checkpassword)."""
    data = b"\0".join((name, password, timestamp, rest))
    if len(data) <= 512:
        assert checkpassword.credentials(data) == (name, password, timestamp)
    else:
        with pytest.raises(ValueError, match="512"):
            checkpassword.credentials(data)


WORD = st.text("ab.:@ #-", max_size=6).map(str.encode)


@given(st.lists(st.tuples(WORD, st.sampled_from([b"\n", b" \t\n", b"\n\n", b"\n#x\n"]))))
def test_a_control_file_is_its_lines(lines):
    """Blanks at the end, empty lines and comments are nothing; of a map's equal keys the last counts."""
    generation = host.Given({"some": b"".join(word + end for word, end in lines)})
    meant = [word.rstrip(b" ") for word, _ in lines if word.rstrip(b" ") and word[:1] != b"#"]
    assert generation.lines("some") == meant
    assert generation.mapping("some") == {m.split(b":")[0].lower(): m.split(b":", 1)[1] for m in meant if b":" in m}


DOMAIN = st.text("aB.", min_size=1, max_size=5).map(str.encode)


@given(st.lists(DOMAIN), st.lists(DOMAIN, min_size=1))
def test_morercpthosts_accepts_what_rcpthosts_would(listed, asked):
    """The database is the same list, only faster."""
    plain, more = rcpthosts.RcptHosts(listed), rcpthosts.RcptHosts([], cdb.Reader(rcpthosts.build(listed)))
    for domain in asked:
        assert plain.accept(b"joe@" + domain) == more.accept(b"joe@" + domain)


OCTETS = st.lists(st.sampled_from(["10", "1-2", "192", "0-20"]), min_size=1, max_size=2)


@settings(deadline=None)
@given(st.lists(st.tuples(OCTETS, st.booleans())), st.tuples(*[st.sampled_from([1, 2, 10, 192, 77])] * 4))
def test_an_address_relays_if_a_rule_said_so(rules, octets):
    """Tcpserver's rules as relay.allow_from: what no rule names may not."""
    lines = [".".join(parts) + ".:allow" + ',RELAYCLIENT=""' * relays for parts, relays in rules]
    found = tcprules.networks("\n".join(lines).encode(), [])
    meant = any(
        relays and all(_within(part, octet) for part, octet in zip(parts, octets, strict=False))
        for parts, relays in rules
    )
    address = ipaddress.ip_address(".".join(map(str, octets)))
    assert any(address in ipaddress.ip_network(net) for net in found) == meant


def _within(part, octet):
    first, _, last = part.partition("-")
    return int(first) <= octet <= int(last or first)


KEYS = st.sampled_from(["a.example", "B.example", ".a.example", "x@a.example", "x@c.example", "", "c.example"])
PREFIXES = st.sampled_from(["joe", "joe-x", "a.example", "", "vd"])
FILES = st.dictionaries(
    st.sampled_from(["/home/joe/.qmail-x", "/home/joe/.qmail-default", "/home/vd/.qmail-x", "/home/vd/.qmail-Y"]),
    st.sampled_from(["./Maildir/\n", "&y@z.example\n", "joe\n", "|exit 99\n", "", "# none\n", "./x/Maildir/\n"]),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(KEYS, PREFIXES)), st.booleans(), FILES)
def test_an_imported_host_takes_the_same_addresses_as_its_own(virtual, ours, files):
    """Whatever virtualdomains and locals say: the YAML of `import qmail` compiles to the same decisions."""
    control = {
        "me": "mx.host.example\n",
        "locals": "mx.host.example\n" + "c.example\n" * ours,
        "virtualdomains": "".join(f"{key}:{prefix}\n" for key, prefix in virtual),
    }
    given_files = {f"/var/qmail/control/{name}": text for name, text in control.items()} | files
    given_files["/var/qmail/users/assign"] = (
        "+:alias:7:7:/var/qmail/alias:-::\n+vd-:vd:7:7:/home/vd:-::\n=joe:joe:7:7:/home/joe:::\n+joe-:joe:7:7:/home/joe:-::\n.\n"
    )
    root = import_qmail.Root(b"\0".join(f"{path}\n{text}".encode() for path, text in given_files.items()))
    tree = read(root, b"/var/qmail", None, any_owner=True)
    yaml = carry(tree, ["./Mailbox"])
    assert not any("put right by hand" in note for note in tree.notes)
    compiled = pipeline.compile_files(pipeline.parse(yaml.encode(), "mail.yaml"))
    now = Routes.of(host.Given({path[8:]: data for path, data in compiled.items() if path.startswith("control/")}))
    before = Routes.of(host.Given({name: text.encode() for name, text in control.items()}))
    for domain in (b"a.example", b"b.example", b"s.a.example", b"c.example", b"mx.host.example", b"other.example"):
        for local in (b"x", b"y", b"joe"):
            address = local + b"@" + domain
            assert now.destination(address).local == before.destination(address).local, address


CODE = st.sampled_from([b"220", b"250", b"354", b"421", b"550"])
TEXT = st.binary(max_size=20).map(lambda text: text.translate(None, b"\r\n"))


@given(st.lists(st.tuples(CODE, st.lists(TEXT, min_size=1, max_size=3))))
def test_every_smtp_reply_is_read_as_it_was_written(replies):
    """RFC 5321 section 4.2.1: a hyphen in all lines but the last."""
    data = b""
    for code, lines in replies:
        data += b"".join(code + b"-" + line + b"\r\n" for line in lines[:-1]) + code + b" " + lines[-1] + b"\r\n"
    parser = reply.Parser()
    found = [answer for piece in host.pieces(data) for answer in parser.feed(piece)]
    assert [(b"%d" % answer.code, answer.lines) for answer in found] == replies
