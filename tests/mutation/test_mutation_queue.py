"""The model and the corruption tests notice when the guarantee they stand for is taken out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mutant import HERE, Mutant

MODEL = "tests/queue/test_queue_model.py"
PARTS = "tests/corruption/test_corruption_parts.py"
WHOLE = "tests/corruption/test_corruption_queue.py"
UPKEEP = "tests/corruption/test_corruption_upkeep.py"
# what is taken out: the file, its text, what stands there then; the tests that must notice.  QUEUE_MUTANTS=all tries the rest
SHARE = 4
MUTANTS = [
    pytest.param(
        "queue/journal.py", "zlib.crc32(payload) == crc", "crc is not None", f"{PARTS}::test_journal_whose_last_record_is_torn",
        id="the check sum of a record is ignored",
    ),
    pytest.param(
        "queue/rescue/aside.py", "(queue / name).rename(folder / name)",
        "(queue / name).unlink() if (queue / name).is_file() else (queue / name).rename(folder / name)",
        f"{WHOLE}::test_database_found_damaged_at_start[the root of a tree]",
        id="what is damaged is removed",
    ),
    pytest.param(
        "queue/durable.py", "def listing(self, after: int, limit: int) -> list[Listed]:\n        return self._whole()",
        "def listing(self, after: int, limit: int) -> list[Listed]:\n        return self._database",
        f"{UPKEEP}::test_backup_under_load_restores_to_a_queue_in_which_nothing_is_missing",
        id="a backup without the journal",
    ),
    pytest.param(
        "queue/items.py", "self._bounce.add_to(change)", "pass", MODEL, id="a message ends without its bounce",
    ),
    pytest.param(
        "queue/journal.py", "if position < size:\n                yield Gap", "if True:\n                return\n                yield Gap",
        f"{PARTS}::test_journal_damaged_in_the_middle",
        id="the journal is read up to its first damaged record",
    ),
    pytest.param(
        "queue/rescue/recovery.py", "self._service.coming |= {item.message.id for item, _ in page}", "pass",
        f"{PARTS}::test_recovered_mail_waits_for_its_mark",
        id="recovered mail begins before it is marked",
    ),
    pytest.param(
        "queue/rescue/wal.py", "if len(later) >= 2 and", "if False and",
        f"{WHOLE}::test_database_found_damaged_at_start[another page of the log]",
        id="damage in the log is taken for its end",
    ),
    pytest.param(
        "queue/body.py", "if found == size:", "if found:", f"{PARTS}::test_body_file_found_damaged_in_use",
        id="a body cut short is delivered",
    ),
    pytest.param(
        "queue/rescue/backup.py", "if frame[1:].decode() != digest.hexdigest() or not ended:", "if not ended:",
        f"{UPKEEP}::test_restore_says_what_it_refuses",
        id="the sum of a backup is ignored",
    ),
    pytest.param(
        "queue/pending.py", "self._notices[notice.message] = notice", "pass", MODEL, id="the journal forgets notices",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "text", "instead", "test"), MUTANTS[: None if os.environ.get("QUEUE_MUTANTS") else SHARE]
)
def test_a_queue_without_the_guarantee_is_noticed(
    tmp_path: Path, file: str, text: str, instead: str, test: str
) -> None:
    """The test fails on the mutant."""
    mutant = Mutant(tmp_path, {file: [(text, instead)]})
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        test,
        "--basetemp",
        tmp_path / "work",
    ]
    # hypothesis: the first failure is enough, and no example of it is kept
    environment = {**mutant.environment, "QUEUE_MODEL": "30,30,fast"}
    ran = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert ran.returncode == 1, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert " failed" in ran.stdout
