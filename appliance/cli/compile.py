"""`paperpath compile`: the qmail files a configuration becomes, in a folder to look at."""

import argparse
import json
import sys
from pathlib import Path

from appliance.config import pipeline
from appliance.config.output import NotOurs, put

HELP = "write the control/, users/ and mail/ files of a configuration into a folder"
WRONG = 2


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the configuration, such as config/mail.yaml")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder, or one of an earlier compile"
    )
    parser.add_argument("--json", action="store_true", help="answer as one JSON object, for programs")


def run(args: argparse.Namespace) -> int:
    """0 if the files are written, 2 if the configuration is wrong or the folder is not ours to fill."""
    try:
        files = pipeline.compile_files(pipeline.read(args.file))
        put(files, args.out)
    except pipeline.ConfigError as error:
        return _failed(error.problems, args.json)
    except (NotOurs, OSError) as error:
        return _failed([f"--out: {error}"], args.json)
    name = pipeline.generation_name(files)
    print(
        json.dumps({"ok": True, "configuration": name, "out": str(args.out), "files": len(files)})
        if args.json
        else name
    )
    return 0


def _failed(problems: list[str], as_json: bool) -> int:
    if as_json:
        print(json.dumps({"ok": False, "problems": problems}, ensure_ascii=False))
    else:
        print(*problems, sep="\n", file=sys.stderr)
    return WRONG
