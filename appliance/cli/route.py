"""`paperpath route ADDRESS`: what would happen to mail for an address, without any mail."""

import argparse
import os

from appliance.address import split
from appliance.cli import state_option
from appliance.control import Control
from appliance.dotqmail import Action
from appliance.errors import MailError
from appliance.local.lookup import Book, check_home
from appliance.local.plan import Plan
from appliance.route import Routes
from appliance.state import State

HELP = (
    "What would happen to mail for an address? Prints where it goes, and for one of this host the lines of its "
    "dot-qmail file as `qmail-local -n` does: program, mbox, maildir, forward, and their numbers; nothing is done. "
    "Exit status: 0 told, 100 it would bounce, 111 it would wait."
)
CANNOT = 111
_ORDER = (Action.MBOX, Action.MAILDIR, Action.FORWARD, Action.PROGRAM)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("address", metavar="ADDRESS", help="a mail address")
    state_option(parser)


def run(args: argparse.Namespace) -> int:
    state = State(args.state.resolve())
    try:
        generation = Control(state).current()
        destination = Routes.of(generation).destination(os.fsencode(args.address))
        if not destination.local:
            print(f"remote {os.fsdecode(split(destination.address)[1])}")
            return 0
        print(f"local {os.fsdecode(destination.address)}")
        book = Book(generation, os.fsencode(state.root))
        who = book.resident(destination.address)
        check_home(who.home)
        print("\n".join(told(book.plan(who))))
    except MailError as error:
        print(f"{error.code} {error.enhanced} {error.text}")
        return 111 if error.code < 500 else 100
    except (OSError, ValueError, LookupError) as error:
        print(f"paperpath route: {error}")
        return CANNOT
    return 0


def told(plan: Plan) -> list[str]:
    """The lines of `qmail-local -n`.  Pure."""
    steps = [(step.action, step.target) for step in plan.steps]
    steps += [(Action.MAILDIR, target) for target in plan.maildirs]
    steps += [(Action.FORWARD, target) for target in plan.forwards]
    numbers = {action: sum(each is action for each, _ in steps) for action in _ORDER}
    files = numbers[Action.MBOX] + numbers[Action.MAILDIR]
    lines = [f"{action.value} {os.fsdecode(target)}" for action, target in steps]
    return [*lines, f"did {files}+{numbers[Action.FORWARD]}+{numbers[Action.PROGRAM]}"]
