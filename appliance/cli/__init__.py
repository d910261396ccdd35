"""The commands of `paperpath`, one file each, and the option that most of them have."""

import argparse
import os
from pathlib import Path


def state_option(parser: argparse.ArgumentParser, folder: str = "the state folder") -> None:
    """Add `--state DIR`, a Path."""
    parser.add_argument(
        "--state",
        metavar="DIR",
        type=Path,
        default=Path(os.environ.get("PAPERPATH_STATE") or "/var/lib/paperpath"),
        help=f"{folder} (default: $PAPERPATH_STATE, or /var/lib/paperpath)",
    )
