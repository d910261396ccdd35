"""The fixture `pop3d`: a running program for one test."""

import pytest
from pop3d_program import Pop3d


@pytest.fixture
def pop3d(request, tmp_path):
    """@pytest.mark.parametrize("pop3d", [{...}], indirect=True) gives it another YAML."""
    program = Pop3d(tmp_path, **getattr(request, "param", {}))
    yield program
    assert program.stop() == 0
    assert [line for line in program.log if line["event"] == "trouble"] == getattr(program, "expected_trouble", [])
