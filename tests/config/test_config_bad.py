"""Every operator mistake gets its exact lines: a folder each in bad/, `mail.yaml` and `expected`."""

from pathlib import Path

import pytest

from appliance.config import pipeline

BAD = Path(__file__).parent / "bad"
MISTAKES = sorted(path.name for path in BAD.iterdir())


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_where_it_is_and_what_would_be_right(name):
    """The lines name file, line, column and key, what was found and what would be right."""
    with pytest.raises(pipeline.ConfigError) as caught:
        pipeline.parse((BAD / name / "mail.yaml").read_bytes(), "mail.yaml")
    assert "\n".join(caught.value.problems) + "\n" == (BAD / name / "expected").read_text()


def test_there_are_many_mistakes_to_make():
    """At least thirty-five are tried."""
    assert len(MISTAKES) >= 35


def test_a_file_that_is_not_there_is_a_clear_error(tmp_path):
    """A wrong path is told as one."""
    with pytest.raises(pipeline.ConfigError) as caught:
        pipeline.read(tmp_path / "none.yaml")
    assert caught.value.problems == [f"{tmp_path}/none.yaml: can't be read: No such file or directory"]


def test_no_secret_is_ever_shown():
    """A plain password in the file does not reach the log."""
    for name in MISTAKES:
        for secret in ("hunter2", "4711", "user:pa", "PRIVATE KEY", "c2FsdHNhbHQ"):
            assert secret not in (BAD / name / "expected").read_text()
