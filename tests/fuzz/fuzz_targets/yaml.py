"""mail.yaml: all its mistakes, each with its place on a line of its own; or files that every program can read."""

import host

from appliance.config import pipeline
from appliance.launcher.limits import Limits
from appliance.remote.settings import Settings as Remote
from appliance.route import Routes
from appliance.users import Users

WORDS = (
    b"version: 1\n",
    b"hostname: a.example\n",
    b"domains:\n",
    b"  b.example: {mailboxes: {a: {}}}\n",
    b"routes:\n",
    b": ",
    b"\n  ",
)
WORDS += (
    b"- ",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"'",
    b"*",
    b"&a",
    b"!!x",
    b"|",
    b">",
    b"#",
    b"---\n",
    b"null",
    b"\xe2\x80\xa8",
    b"\xff",
)
WORDS += (
    b"control: {locals: [",
    b"users: {assign: [",
    b"relay: {allow_from: [",
    b"<<",
    b"9" * 20,
    b"\0",
    b"\t",
    b"%",
    b"1e9",
    b"~",
)
_MINIMAL = b"version: 1\nhostname: mx.here.example\n"


def target(data: bytes) -> None:
    for text in (data, _MINIMAL + data):  # most of what is strange is an end of its own: so also behind what is sound
        try:
            configuration = pipeline.parse(text, "mail.yaml")
        except pipeline.ConfigError as error:
            assert error.problems
            assert all(line.startswith("mail.yaml:") and len(line.splitlines()) == 1 for line in error.problems)
            continue
        files = pipeline.compile_files(configuration)
        pipeline.generation_name(files)
        pipeline.warnings(configuration)
        assert not any(part in ("", ".", "..") for path in files for part in path.split("/"))
        made = host.Given({path[8:]: text for path, text in files.items() if path.startswith("control/")})
        Users(files["users/cdb"]).find(b"here.example-a")
        Routes.of(made).destination(b"a@b.example")
        Limits.of(made)
        Remote.of(made)
