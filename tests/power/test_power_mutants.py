"""A reader who does not believe the model can take a sync out of the programs: it misses what is lost then."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "mutation"))
from mutant import Mutant

PARTS = Path(__file__).with_name("power_parts.py")
ROWS = [
    ("the journal without RWF_DSYNC", "queue", "queue/journal.py", "self.used, os.RWF_DSYNC", "self.used, 0"),
    ("a body file that is not synced", "queue", "queue/body.py",
     "            os.fsync(file.fd)\n            file.close()\n            safeio", "            file.close()\n            safeio"),
    ("its name that is not synced", "queue", "queue/body.py",
     "            file.close()\n            safeio.sync_directory(self.folder)", "            file.close()"),
    ("an envelope that came last", "queue", "queue/body.py",
     "        file.message = message\n        safeio.sync_directory(self.folder)", "        file.message = message"),
    ("SQLite with synchronous=OFF", "queue", "queue/tables.py", '"synchronous", "full"', '"synchronous", "off"'),
    ("the queue's own name", "queue", "queue/main.py", "    safeio.sync_directory(state.root)\n", ""),
    ("the names of the queue's files", "queue", "queue/main.py", "    safeio.sync_directory(state.queue)\n", ""),
    ("letters in a Maildir", "maildirs", "local/maildir.py",
     "self._disk.sync_files([letter.fd for letter in written])", "{}"),
    ("names in a Maildir", "maildirs", "local/maildir.py", '(folder + b"/new", *above.get(folder, ()))}', "()}"),
    ("a Maildir that was removed", "maildirs", "local/maildir.py", "self._used.discard(folder)", "pass"),
    ("syncfs", "maildirs-syncfs", "local/disk.py", "_libc.syncfs(self._fd)", "0"),
    ("an mbox", "mbox", "local/mbox.py", "            os.fsync(fd)\n", ""),
    ("the names above an mbox", "mbox", "local/mbox.py", "        _sync_names(path, mail)\n", ""),
    ("the files of a configuration", "configuration", "safeio.py",
     "                write_all(fd, chunk)\n            os.fsync(fd)", "                write_all(fd, chunk)"),
    ("a configuration's name", "configuration", "config/activate.py",
     "    new.rename(folder)\n    safeio.sync_directory(folder.parent)\n", "    new.rename(folder)\n"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "part", "file", "old", "new"), ROWS, ids=[row[0].replace(" ", "-") for row in ROWS])
def test_a_sync_that_is_taken_out_is_missed(
    tmp_path: Path, what: str, part: str, file: str, old: str, new: str
) -> None:
    """One fate a cut is enough: nothing survives that was not synced."""
    mutant = Mutant(tmp_path, {file: [(old, new)]})
    mutant.environment["PYTHONPATH"] += f":{PARTS.parent}"
    command = [sys.executable, str(PARTS), part, "2"]
    ended = subprocess.run(command, env=mutant.environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, f"{what}: {ended.stdout[-300:]}{ended.stderr[-2000:]}"
    assert "cut before event" in ended.stdout
