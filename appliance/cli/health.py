"""`paperpath health`: for people, container engines and probes."""

import argparse
import json
from dataclasses import asdict

from appliance.cli import state_option
from appliance.state import State
from appliance.supervise.health import examine

HELP = "Is everything that should run there and working? Exit status 0 if it is, 1 if not; says what is missing."


def arguments(parser: argparse.ArgumentParser) -> None:
    state_option(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    report = examine(State(args.state.resolve()))
    if args.json:
        print(json.dumps({"healthy": not report.problems, **asdict(report)}))
    else:
        print("\n".join([*report.problems, *report.warnings]), end="\n" if report.problems or report.warnings else "")
    if not args.json and not report.problems:
        print(f"well: configuration {report.configuration}, {report.messages} messages in the queue")
    return 1 if report.problems else 0
