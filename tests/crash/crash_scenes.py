"""The scripted messages."""

import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from crash_play import Play
from crash_reader import READER
from crash_world import PROGRAMS

ASK = 0.4  # seconds after which the watcher is told to look at the YAML
LARGE = 300_000  # bytes: more than what travels inline


class Scene(NamedTuple):
    """A part of the script.

    run     what is done while kills may come
    before  what is done before
    only    the programs that are killed in it, one at a time; none: all
    """

    name: str
    run: Callable[[Play], None]
    before: Callable[[Play], None] = lambda _: None
    only: tuple[str, ...] = ()


def by_smtp(play: Play) -> None:
    play.send(play.new().to("alice"), "alice@example.org", pipelined=False)


def large(play: Play) -> None:
    play.send(play.new(LARGE).to("alice"), "alice@example.org")


def several(play: Play) -> None:
    """Two deliveries, one of two recipients."""
    to = ("alice@example.org", "bob@example.org", "x@partner.example")
    play.send(play.new().to("alice", "bob", "host x"), *to)


def forwarded(play: Play) -> None:
    play.send(play.new().to("alice", "bob"), "team@example.org")


def large_forwarded(play: Play) -> None:
    play.send(play.new(LARGE).to("alice", "bob"), "team@example.org")


def into_an_mbox(play: Play) -> None:
    play.send(play.new().to("mabel"), "mabel@example.org")
    play.send(play.new(LARGE).to("mabel"), "mabel@example.org")


def to_a_program(play: Play) -> None:
    play.send(play.new().to("prog"), "prog@example.org")
    play.send(play.new(LARGE).to("prog"), "prog@example.org")


def large_to(domain: str) -> Callable[[Play], None]:
    def run(play: Play) -> None:
        play.send(play.new(LARGE).to("host x"), f"x@{domain}")

    return run


def mixed_results_at(domain: str) -> Callable[[Play], None]:
    """One is taken, one put off and then taken, one refused; the sender is told, and has a mailbox here."""

    def run(play: Play) -> None:
        letter = play.new()
        never, later = f"never.{letter.token}@{domain}", f"later.{letter.token}@{domain}"
        letter.to("host x", "host later").fails(never, "alice")
        play.put_off(play.send(letter, f"x@{domain}", later, never, sender="alice@example.org"))
        play.queue("retry")

    return run


def told_while_it_waits(play: Play) -> None:
    """A failure is reported a second after it while another recipient waits; that one is put off until its sender knows of it, too."""
    letter = play.new(personal=True)
    never, late = f"never.{letter.token}@partner.example", f"late.{letter.token}@partner.example"
    letter.to("host x", "host late").fails(never, "alice").waits(late, "alice")
    play.put_off(play.send(letter, "x@partner.example", late, never, sender="alice@example.org"))
    for notice in ("bounce", "notice"):
        play.told(notice)
        play.queue("retry")


def double_bounce(play: Play) -> None:
    """Nobody takes the message, nor the bounce: the postmaster gets it."""
    letter = play.new()
    never, sender = f"never.{letter.token}@partner.example", f"never.sender.{letter.token}@partner.example"
    play.send(letter.fails(sender, "postmaster"), never, sender=sender)


def by_commands(play: Play) -> None:
    """sendmail, which adds to the header, and qmail-queue with a large message whose envelope comes last."""
    letter = play.new(header_changes=True).to("alice")
    play.run("sendmail", ["-f", "eve@client.example", "alice@example.org"], letter.content)
    letter = play.new(LARGE).to("bob")
    play.run("qmail-queue", [], letter.content, b"Feve@client.example\0Tbob@example.org\0\0")


def by_qmtp(play: Play) -> None:
    play.send_by_qmtp(play.new().to("alice"), "alice@example.org")
    play.send_by_qmtp(play.new(LARGE).to("bob"), "bob@example.org")


def mail_to_fetch(play: Play) -> None:
    for size in (0, LARGE):
        play.send(play.new(size).to("reader"), READER)
    play.world.until(lambda: not play.letters.missing(), "mail to fetch")


def by_pop3(play: Play) -> None:
    """Both messages are marked for removal, and that does not count; then they are fetched, and one is removed."""
    unwanted, kept = play.letters.letters.values()
    play.hang_up()
    play.fetch(unwanted)
    unwanted.expected.clear()
    unwanted.to("the reader")
    kept.to("the reader")


def by_hand(play: Play) -> None:
    """Three messages wait; one is held, released and hurried, one dropped, one hurried with all that waits."""
    letters = [play.new().to("host later"), play.new(LARGE), play.new().to("host later")]
    names = []
    for letter in letters:
        names.append(play.send(letter, f"later.{letter.token}@partner.example"))
        play.put_off(names[-1])
    play.queue("hold", id=names[0])
    dropped = play.queue("drop", id=names[1])
    # it may be on its way when it is dropped, or sent again by a client that heard nothing of the first one's id
    letters[1].withdrawn = letters[1].sent > 1 or not dropped or dropped[0]["deliveries"] == 0
    play.queue("list")
    play.queue("release", id=names[0])
    play.queue("retry", id=names[0])
    play.queue("retry")


def configuration(play: Play) -> None:
    """A mailbox is added, and gets its first mail; the one that was added before it goes, so that each run makes the same calls."""
    play.added += 1
    world, name = play.world, f"carol{play.added:04}"
    before, asked = world.state.generation.readlink(), time.monotonic()
    world.configure(f"      {name}: {{}}")

    def in_force() -> bool:
        nonlocal asked
        if time.monotonic() - asked > ASK and world.ready():  # the watcher would look again by itself, but takes 5 s
            world.kill("config", signal.SIGHUP)
            asked = time.monotonic()
        return world.state.generation.readlink() != before

    world.until(in_force, "the new configuration")
    play.send(play.new().to(name), f"{name}@example.org")


def waiting(play: Play) -> None:
    """A small and a large message that a host has put off."""
    for size in (0, LARGE):
        letter = play.new(size).to("host later")
        play.put_off(play.send(letter, f"later.{letter.token}@partner.example"))


def wait_and_stop(play: Play) -> None:
    waiting(play)
    play.stop("queue")
    (play.world.state.bodies / "123").write_bytes(b"left by a client that never ended its message")


def start_queue(play: Play) -> None:
    play.start("queue")
    play.queue("retry")


def orderly_end(program: str) -> Callable[[Play], None]:
    def run(play: Play) -> None:
        play.send(play.new().to("alice", "host x"), "alice@example.org", "x@partner.example")
        play.world.kill(program, signal.SIGTERM)
        play.send(play.new().to("prog", "bob"), "prog@example.org", "bob@example.org")
        play.queue("retry")

    return run


def start_again(program: str) -> tuple[Callable[[Play], None], Callable[[Play], None]]:
    """Mail comes while a program is not there, if it can come then; and the program starts."""
    letters = []

    def before(play: Play) -> None:
        play.stop(program)
        letters.append(play.new().to("alice", "bob", "prog", "host x"))
        if program != "smtpd":
            play.send(letters[-1], *TO_ALL)

    def run(play: Play) -> None:
        play.start(program)
        if program == "smtpd":
            play.send(letters[-1], *TO_ALL)
        elif program in ("config", "pop3d"):
            play.world.until(play.world.ready, f"{program} at work", or_killed=True)
        elif program == "qmtpd":
            by_qmtp(play)

    return before, run


TO_ALL = ("alice@example.org", "bob@example.org", "prog@example.org", "x@partner.example")
OTHERS = [program for program in PROGRAMS if program != "queue"]
SCENES: tuple[Scene, ...] = (
    Scene("by SMTP", by_smtp),
    Scene("large", large),
    Scene("several recipients", several),
    Scene("forwarded", forwarded),
    Scene("large forwarded", large_forwarded),
    Scene("into an mbox", into_an_mbox),
    Scene("to a program", to_a_program),
    Scene("large to a host", large_to("partner.example")),
    Scene("large to a host by QMTP", large_to("quick.example")),
    Scene("mixed results", mixed_results_at("partner.example")),
    Scene("mixed results by QMTP", mixed_results_at("quick.example")),
    Scene("told while it waits", told_while_it_waits, only=("queue", "local", "remote")),
    Scene("double bounce", double_bounce),
    Scene("by commands", by_commands),
    Scene("by QMTP", by_qmtp),
    Scene("by POP3", by_pop3, mail_to_fetch, only=("pop3d",)),
    Scene("by hand", by_hand),
    Scene("configuration", configuration),
    Scene("start of queue", start_queue, wait_and_stop, only=("queue",)),
    *(Scene(f"start of {name}", run, before, only=(name,)) for name in OTHERS for before, run in [start_again(name)]),
    Scene("stop of queue", orderly_end("queue"), waiting, only=("queue",)),
    *(Scene(f"stop of {name}", orderly_end(name), only=(name,)) for name in OTHERS),
)
