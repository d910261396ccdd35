"""morercpthosts: the database accepts exactly what the same lines accept as rcpthosts."""

from appliance import cdb
from appliance.rcpthosts import RcptHosts, build

WORDS = (b"a.example", b".a.example", b"#", b"\n", b" ", b"\t", b".", b"A", b"@", b"\0")


def target(data: bytes) -> None:
    lines = data.split(b"\n")
    stripped = [line.rstrip(b" \t") for line in lines]
    plain = RcptHosts([line for line in stripped if line and line[:1] != b"#"])
    more = RcptHosts([], cdb.Reader(build(lines)))
    for line in lines:
        for domain in (line, line.strip(), b"x." + line, b"x" + line, line.upper(), line[1:]):
            assert plain.accept(b"joe@" + domain) == more.accept(b"joe@" + domain), domain
