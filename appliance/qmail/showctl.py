"""`qmail-showctl`: every control file of the configuration in force, and what it means.

Where a file is missing the default is shown; what Paperpath adds to qmail's files and what nobody reads is named
at the end.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from appliance import rcpthosts
from appliance.command import PERMANENT, TEMPORARY, die
from appliance.control import Generation
from appliance.qmail import compiled, home

NAME = "qmail-showctl"

_ME = "{me}"  # the default that stands for the host's name

# files of one line: what it means, the default
LINES: dict[str, tuple[str, str]] = {
    "bouncefrom": ("bounces are from {} at bouncehost", "MAILER-DAEMON"),
    "bouncehost": ("bounces are from this host: {}", _ME),
    "concurrencylocal": ("at most {} local deliveries at the same time (0 holds them)", "10"),
    "concurrencyremote": ("at most {} remote deliveries at the same time (0 holds them)", "20"),
    "databytes": ("a message has at most {} bytes (0: any number)", "0"),
    "defaultdomain": ("qmail-inject adds {} to a host without a dot", _ME),
    "defaulthost": ("qmail-inject adds {} to an address without a host", _ME),
    "doublebouncehost": ("bounces that bounce go to doublebounceto at {}", _ME),
    "doublebounceto": ("bounces that bounce go to {}", "postmaster"),
    "envnoathost": ("a recipient without a domain is at {}", _ME),
    "helohost": ("to other hosts this one says it is {}", _ME),
    "idhost": ("qmail-inject makes Message-IDs at {}", _ME),
    "localiphost": ("an address at [this host's IP address] is at {}", _ME),
    "me": ("this host is {}", ""),
    "plusdomain": ("qmail-inject puts {} for a + at the end of a host", _ME),
    "queuelifetime": ("delivery is tried for {} seconds", "604800"),
    "smtpgreeting": ("clients are greeted: 220 {}", _ME),
    "timeoutconnect": ("a connection to another host may take {} seconds", "60"),
    "timeoutremote": ("another host may be silent for {} seconds", "1200"),
    "timeoutsmtpd": ("a client may be silent for {} seconds", "1200"),
}
# files of many: what each line means, what a missing file means
LISTS: dict[str, tuple[str, str]] = {
    "badmailfrom": ("{} may not send mail to us", "everybody may send mail to us"),
    "locals": ("mail for {} is local", "mail for the host itself is local: {me}"),
    "morercpthosts": ("mail for {} is taken, too", "rcpthosts is all"),
    "percenthack": ("user%host@{} is user@host", "a percent sign means nothing"),
    "qmqpservers": ("qmail-qmqpc hands mail to {}", "qmail-qmqpc has nobody to hand mail to"),
    "rcpthosts": ("mail for {} is taken", "from strangers no mail is taken for other hosts"),
    "smtproutes": ("route {}", "mail goes by MX"),
    "virtualdomains": ("virtual domain {}", "there are no virtual domains"),
}


def report(generation: Generation) -> Iterator[str]:
    """The lines. Raises OSError."""
    me = (generation.line("me") or b"").decode("utf-8", "replace")
    yield f"configuration {generation.name} in {generation.folder}"
    for name in sorted({*LINES, *LISTS}):
        shown = _line if name in LINES else _list
        yield ""
        yield from shown(generation, name, me)
    own = sorted(path.name for path in (generation.folder / "control").iterdir())
    yield from _database(generation.folder / "control")
    for name in own:
        if name not in LINES and name not in LISTS and name != rcpthosts.MORE:
            yield f"\n{name}: not a file of qmail's; docs/internals.md says what Paperpath reads"


def _line(generation: Generation, name: str, me: str) -> Iterator[str]:
    meaning, default = LINES[name]
    value = generation.line(name)
    if value is None:
        missing = default.replace(_ME, me)
        yield f"{name}: (Default.) {meaning.format(missing)}"
    else:
        yield f"{name}: {meaning.format(_plain(value))}"


def _list(generation: Generation, name: str, me: str) -> Iterator[str]:
    meaning, default = LISTS[name]
    lines = generation.lines(name)
    if lines is None:
        yield f"{name}: (Default.) {default.replace(_ME, me)}"
        return
    yield f"{name}:" if lines else f"{name}: empty"
    for line in lines:
        yield meaning.format(_plain(line))


def _database(control: Path) -> Iterator[str]:
    """Whether morercpthosts.cdb is what morercpthosts asks for."""
    text, database = control / "morercpthosts", control / rcpthosts.MORE
    if database.exists() and not text.exists():
        yield f"\n{rcpthosts.MORE}: there is no morercpthosts that it was made from"
    elif text.exists() and not database.exists():
        yield f"\n{rcpthosts.MORE}: missing; run qmail-newmrh"
    elif text.exists():
        with text.open("rb") as lines:
            fresh = rcpthosts.build(lines) == database.read_bytes()
        yield f"\n{rcpthosts.MORE}: {'made from morercpthosts' if fresh else 'older than morercpthosts; run qmail-newmrh'}"


def _plain(value: bytes) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in value.decode("utf-8", "replace"))


def main() -> int:
    """Print them; 0, 100 with an argument, 111 if they can't be read."""
    if len(sys.argv) > 1:
        die(PERMANENT, NAME, "it takes no arguments; $QMAILHOME names the folder that holds control/")
    folder = home()
    control = (folder / "control").resolve()
    try:
        generation = Generation(control.parent if compiled(control) else folder)
        print(*report(generation), sep="\n")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        sys.stderr.close()
    except OSError as error:
        die(TEMPORARY, NAME, f"{error.filename}: {error.strerror}")
    return 0
