"""A copy of the programs with a guarantee taken out, to show that a test notices.

    mutant = Mutant(tmp_path, {"queue/journal.py": [("os.RWF_DSYNC", "0")]})
    subprocess.run([sys.executable, …], env=mutant.environment)

A change whose text is not there exactly once is an error: a mutant that changes nothing proves nothing.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]


class Mutant:
    """A changed copy of `appliance/` and `schema/`; programs started with `environment` import it."""

    def __init__(self, folder: Path, changes: Mapping[str, Iterable[tuple[str, str]]]) -> None:
        self.root = folder / "mutant"
        leave = shutil.ignore_patterns("__pycache__")
        for name in ("appliance", "schema"):
            shutil.copytree(HERE / name, self.root / name, ignore=leave)
        for path, replacements in changes.items():
            file = self.root / "appliance" / path
            text = file.read_text()
            for old, new in replacements:
                assert text.count(old) == 1, f"appliance/{path} has {text.count(old)} times {old!r}"
                text = text.replace(old, new)
            file.write_text(text)
        # without the working folder in front of it, which may hold the original
        own = {"PYTHONPATH": str(self.root), "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self.environment = {**os.environ, **own}
