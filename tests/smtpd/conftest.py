"""The fixture `smtpd`: a running program for one test."""

import signal

import pytest
from smtpd_program import Smtpd


@pytest.fixture
def smtpd(request, tmp_path):
    """@pytest.mark.parametrize("smtpd", [{...}], indirect=True) gives it other control files."""
    program = Smtpd(tmp_path / "state", getattr(request, "param", {}))
    yield program
    assert program.stop() in (0, -signal.SIGKILL)
