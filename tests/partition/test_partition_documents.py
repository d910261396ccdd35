"""docs/security.md and the tests say the same about who may touch what."""

from pathlib import Path

from partition_attempts import RIGHTS
from partition_table import ALLOWED, OWN, PROGRAMS

from appliance.supervise.programs import PROGRAMS as STARTED

SECURITY = (Path(__file__).resolve().parents[2] / "docs" / "security.md").read_text()


def rows() -> list[list[str]]:
    """Of the table: its cells."""
    chapter = SECURITY.partition("## Who may touch what\n")[2].partition("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in chapter.splitlines() if line[:1] == "|"]


def word(program: str, right: str) -> str:
    return "own" if (program, right) in OWN else "yes" if program in ALLOWED[right].split() else "–"  # noqa: RUF001  # as in all tables


def test_the_table_of_the_document_is_the_one_that_is_tried() -> None:
    """No cell without a test, no test without a cell."""
    head, _, *body = rows()
    assert head[1:] == list(PROGRAMS)
    assert body == [[right, *(word(program, right) for program in PROGRAMS)] for right in ALLOWED]
    assert list(ALLOWED) == list(RIGHTS)


def test_every_program_is_in_it() -> None:
    """A new program has a column."""
    assert {program.name for program in STARTED} | {"program"} == set(PROGRAMS)
