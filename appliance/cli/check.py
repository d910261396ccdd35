"""`paperpath check`: is a configuration right?  All that is wrong with it, or what it says."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from appliance.config import pipeline

HELP = "say what is wrong with a configuration, or what it will do"
WRONG = 2


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the configuration, such as config/mail.yaml")
    parser.add_argument("--json", action="store_true", help="answer as one JSON object, for programs")


def run(args: argparse.Namespace) -> int:
    """0 if a start with this file would succeed, 2 if not."""
    try:
        configuration = pipeline.read(args.file)
    except pipeline.ConfigError as error:
        if args.json:
            mistakes = [dataclasses.asdict(mistake) for mistake in error.mistakes]
            print(json.dumps({"ok": False, "problems": mistakes}, ensure_ascii=False, indent=1))
        else:
            print(*error.problems, sep="\n", file=sys.stderr)
        return WRONG
    name = pipeline.generation_name(pipeline.compile_files(configuration))
    cautions = pipeline.warnings(configuration)
    summary = _summary(configuration)
    if args.json:
        told = {"ok": True, "configuration": name, **summary, "warnings": cautions}
        print(json.dumps(told, ensure_ascii=False, indent=1))
    else:
        print(f"ok {name}")
        print(*(f"{what}: {_plain(value)}" for what, value in summary.items()), sep="\n")
        print(*(f"warning: {text}" for text in cautions), sep="\n", end="\n" if cautions else "")
    return 0


def _summary(configuration: pipeline.Configuration) -> dict[str, int | list[str]]:
    listeners = (f"{each.name} {each.address} port {each.port}" for each in configuration.listeners)
    return {
        "domains": len(configuration.domains),
        "mailboxes": sum(len(domain.mailboxes) for domain in configuration.domains),
        "aliases": sum(len(domain.aliases) for domain in configuration.domains),
        "listeners": list(listeners),
        "routes": len(configuration.routes),
    }


def _plain(value: int | list[str]) -> str:
    return (", ".join(value) or "none") if isinstance(value, list) else str(value)
