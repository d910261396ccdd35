"""Who may touch what: each cell of the table of docs/security.md is tried from inside, in each way of running."""

import pytest
from partition_table import ALLOWED, OWN, PROGRAMS
from partition_ways import Answers, in_container, make_run, unprivileged, with_users

from appliance import calls, sandbox

WAYS = {"make run": make_run, "unprivileged": unprivileged, "container": in_container, "users": with_users}
CELLS = [(program, right) for right in ALLOWED for program in PROGRAMS if (program, right) not in OWN]

pytestmark = pytest.mark.skipif(
    bool([*sandbox.missing(sandbox.kernel_abi()), *calls.missing()]), reason="this kernel can't enforce all of it"
)


@pytest.fixture(
    scope="module",
    params=[
        "make run",
        "unprivileged",
        *(pytest.param(way, marks=pytest.mark.container) for way in ("container", "users")),
    ],
)
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What every program was answered when Paperpath ran in this way."""
    return WAYS[request.param](tmp_path_factory.mktemp("way"))


@pytest.mark.parametrize(("program", "right"), CELLS, ids=[f"{program}-{right}" for program, right in CELLS])
def test_a_cell(answers: Answers, program: str, right: str) -> None:
    """What the table allows works, and all else is refused."""
    assert answers[program][right] == ("done" if program in ALLOWED[right].split() else "refused")
