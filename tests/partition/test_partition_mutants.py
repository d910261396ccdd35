"""Shown to fail: with a hole in the sandbox, the cell that tells of it is no longer what the table says."""

import sys

import pytest
from partition_table import ALLOWED
from partition_ways import HERE, Answers, make_run

from appliance import calls, sandbox

sys.path.insert(0, str(HERE.parent / "mutation"))
from mutant import Mutant

pytestmark = pytest.mark.skipif(
    bool([*sandbox.missing(sandbox.kernel_abi()), *calls.missing()]), reason="this kernel can't enforce all of it"
)

# a file of appliance/, what is taken out or widened, and the cells that notice
HOLES = [
    ("partition.py", "read=(state.generations,), bind=tuple(ports)", "read=(state.generations, state.mail), bind=tuple(ports)",
     "smtpd", "read mail"),
    ("partition.py", "read=(state.generations,), write=(state.queue,)", "read=(state.generations,), write=(state.root,)",
     "queue", "change mail"),
    ("partition.py", "read=(state.generations,), connect=", "read=(state.generations, state.tokens), connect=",
     "remote", "read a role token"),
    ("sandbox.py", "_SCOPE = 3", "_SCOPE = 0", "local", "use abstract sockets", "launcher", "signal others"),
    ("door.py", '"intake": frozenset({"smtpd"', '"intake": frozenset({"smtpd", "remote"', "remote", "enter intake"),
    ("call_groups.py", "POP3D = _only(_TALKING, _WRITING)", "POP3D = _only(_TALKING, _WRITING, 'chmod fchmodat')",
     "pop3d", "change modes and owners"),
    ("call_groups.py", '    "clone": ((Is(0, (_THREAD,), _THREAD),),),\n', "", "local", "fork"),
    ("call_groups.py", '    "prlimit64": ((Is(0, (0,)),),),\n', "", "smtpd", "limit others"),
    ("call_groups.py", '("sendto", 3), ', "", "remote", "connect past Landlock"),
    ("call_groups.py", "shmget shmat", "shmat", "program", "share memory and messages"),
    ("call_groups.py", "bpf userfaultfd", "bpf", "program", "use rare doors of the kernel"),
    ("call_groups.py", "REMOTE = _only(_TALKING, ", "REMOTE = _only(_TALKING, 'listen', ", "remote", "listen on another port"),
]  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What the programs were answered with all these holes."""
    folder = tmp_path_factory.mktemp("holes")
    changes: dict[str, list[tuple[str, str]]] = {}
    for file, old, new, *_ in HOLES:
        changes.setdefault(file, []).append((old, new))
    return make_run(folder, Mutant(folder, changes).environment)


CELLS = [cell for hole in HOLES for cell in zip(hole[3::2], hole[4::2], strict=True)]


@pytest.mark.parametrize(("program", "right"), CELLS, ids=map("-".join, CELLS))
def test_a_hole_is_noticed(answers: Answers, program: str, right: str) -> None:
    """The test of that cell would fail."""
    assert program not in ALLOWED[right].split()
    assert answers[program][right] != "refused"
