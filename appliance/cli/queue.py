"""`paperpath queue list|show|retry|hold|release|drop`: what waits, and why, and what is to become of it; _upkeep.py has the rest."""

import argparse
import json
import sys
from typing import Any

from appliance import message_id
from appliance.cli import _upkeep, state_option
from appliance.queue import damaged
from appliance.queue.ask import NoAnswer, ask_lines
from appliance.state import State

HELP = (
    "What waits in the queue, and why? Asks the running queue, or reads its file when nothing runs. "
    "Exit status: 0 found, 1 no such message, 2 a mistake on the command line, 111 the queue can't be asked."
)
USAGE, CANNOT = 2, 111
BY_HAND = (
    ("hold", "try nothing more of messages until they are released"),
    ("release", "let held messages go on, now"),
    ("drop", "end messages here: nobody else gets them, and nobody is told"),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(
        dest="verb", required=True, metavar="list|show|retry|hold|release|drop|check|recover|backup|restore"
    )
    listing = verbs.add_parser(
        "list", help="each message, and a line for each recipient that has not got it yet; the oldest first"
    )
    show = verbs.add_parser("show", help="everything about one message, with its header")
    show.add_argument("id", metavar="ID", type=_id, help="as in the log, such as 1k0vnjfcffm")
    retry = verbs.add_parser("retry", help="try messages now that would be tried later")
    retry.add_argument("--all", action="store_true", help="all of them, as SIGALRM to qmail-send")
    hands = [verbs.add_parser(name, help=text) for name, text in BY_HAND]
    for verb in (retry, *hands):
        verb.add_argument("ids", metavar="ID", nargs="*" if verb is retry else "+", type=_id, help="of a message")
    _upkeep.arguments(verbs)
    for verb in (listing, show, retry, *hands):
        state_option(verb)
        verb.add_argument("--json", action="store_true", help="one JSON object a line")


def _id(text: str) -> str:
    try:
        message_id.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text.strip()


def run(args: argparse.Namespace) -> int:
    if args.verb in _upkeep.VERBS:
        return _upkeep.run(args)
    if args.verb == "retry" and bool(args.ids) == args.all:
        print("paperpath queue retry: name messages, or --all", file=sys.stderr)
        return USAGE
    return _change(args) if getattr(args, "ids", None) else _look(args)


def _change(args: argparse.Namespace) -> int:
    """Do something to each message that is named."""
    status = 0
    try:
        for name in args.ids:
            found = list(ask_lines(State(args.state.resolve()), {"do": args.verb, "id": name}))
            if not found:
                print(f"paperpath queue: no message {name} in the queue", file=sys.stderr)
                status = 1
            for line in found:
                print(line.decode() if args.json else f"{name}: {json.loads(line)['deliveries']} deliveries")
    except NoAnswer as error:
        print(f"paperpath queue: {error}", file=sys.stderr)
        return CANNOT
    return status


def _look(args: argparse.Namespace) -> int:
    request = {"do": "show", "id": args.id} if args.verb == "show" else {"do": args.verb}
    found = oldest = 0
    try:
        for line in ask_lines(State(args.state.resolve()), request):
            found += 1
            if args.json:
                print(line.decode())
                continue
            item = json.loads(line)
            if args.verb == "retry":
                print(f"{item['due']} deliveries are due now")
                continue
            oldest = max(oldest, item["age"])
            if args.verb == "show":
                print(_page(item))
            else:
                _row(item, first=found == 1)
    except NoAnswer as error:
        print(f"paperpath queue: {error}", file=sys.stderr)
        return CANNOT
    if args.verb == "show" and not found:
        print(f"paperpath queue: no message {args.id} in the queue", file=sys.stderr)
        return 1
    if args.verb == "list" and not args.json:
        print(f"messages: {found}, the oldest {age(oldest)} old" if found else "the queue is empty")
        for note in damaged.notes(args.state.resolve() / "queue"):
            print(note, file=sys.stderr)
    return 0


_COLUMNS = "{:12} {:>6} {:>9}  {}"


def _row(item: dict[str, Any], *, first: bool) -> None:
    if first:
        print(_COLUMNS.format("id", "age", "size", "sender"))
    print(_COLUMNS.format(item["message"], age(item["age"]), item["size"], f"<{_plain(item['sender'])}>"))
    for recipient in item["recipients"]:
        print("  " + _recipient(recipient))


def _recipient(recipient: dict[str, Any]) -> str:
    line = f"{recipient['channel']:6} {_plain(recipient['address'])}"
    if recipient["attempts"]:
        line += f"  attempts {recipient['attempts']}, next {recipient['next']}: {_plain(recipient['error'])}"
    return line


def _page(item: dict[str, Any]) -> str:
    lines = [
        f"id          {item['message']}",
        f"accepted    {item['born']} ({age(item['age'])} ago)",
        f"size        {item['size']}",
        f"sender      <{_plain(item['sender'])}>",
        *(f"to do       {_recipient(recipient)}" for recipient in item["recipients"]),
        *(f"done        {_plain(entry['address'])}" for entry in item["done"]),
        *(f"failed      {_plain(text)}" for text in item["failed"]),
        "",
        *(_plain(line) for line in item["header"].rstrip("\n").split("\n")),
    ]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text from strangers must not steer the terminal."""
    return "".join([letter if letter.isprintable() else "/" if letter == "\n" else "?" for letter in text])


def age(seconds: int) -> str:
    """The largest unit that fits: 45s, 12m, 7h, 3d."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
