"""`paperpath health`: for people, container engines and probes."""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

from appliance.state import State
from appliance.supervise.health import examine

HELP = "Is everything that should run there and working? Exit status 0 if it is, 1 if not; says what is missing."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state",
        metavar="DIR",
        type=Path,
        default=Path(os.environ.get("PAPERPATH_STATE") or "/var/lib/paperpath"),
        help="the state folder (default: $PAPERPATH_STATE, or /var/lib/paperpath)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    report = examine(State(args.state.resolve()))
    if args.json:
        print(json.dumps({"healthy": not report.problems, **asdict(report)}))
    elif report.problems:
        print("\n".join(report.problems))
    else:
        print(f"well: configuration {report.configuration}, {report.messages} messages in the queue")
    return 1 if report.problems else 0
