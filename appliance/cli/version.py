"""`paperpath version`."""

import argparse
import json
import platform
from importlib import metadata

from appliance import __version__

HELP = "The version of Paperpath, and of what it is built on."
PARTS = ("aiosmtpd", "apsw", "dnspython", "jsonschema", "PyYAML", "supervisor", "uvloop")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    versions = {"paperpath": __version__, "python": platform.python_version(), "kernel": platform.release()}
    for part in PARTS:
        try:
            versions[part] = metadata.version(part)
        except metadata.PackageNotFoundError:
            versions[part] = "missing"
    if args.json:
        print(json.dumps(versions))
    else:
        print(f"paperpath {__version__}")
        print("\n".join(f"  {part} {version}" for part, version in versions.items() if part != "paperpath"))
    return 0
