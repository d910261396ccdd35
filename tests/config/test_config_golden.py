"""What configurations compile to, byte for byte; `paperpath compile MAIL.YAML --out expected` writes a new golden folder."""

from pathlib import Path

import pytest

from appliance.config import pipeline
from appliance.config.activate import read

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.iterdir()))
def test_a_configuration_compiles_to_these_bytes(name):
    """control/, users/ and mail/ are what qmail's tools and our programs expect."""
    files = pipeline.compile_files(pipeline.read(GOLDEN / name / "mail.yaml"))
    assert files == read(GOLDEN / name / "expected")


@pytest.mark.parametrize("name", ["minimal", "hostname-is-a-domain"])
def test_what_is_served_has_no_warning(name):
    """A warning always means something."""
    assert pipeline.warnings(pipeline.read(GOLDEN / name / "mail.yaml")) == []


def test_the_example_works_as_it_is():
    """A newcomer starts from config/mail.yaml, and nothing in it needs a change."""
    example = Path(__file__).parents[2] / "config" / "mail.yaml"
    assert pipeline.warnings(pipeline.read(example)) == []


def test_all_that_is_not_served_yet_is_told():
    """The whole vocabulary checks, and nobody believes TLS is on when it is not."""
    text = "\n".join(pipeline.warnings(pipeline.read(GOLDEN / "full" / "mail.yaml")))
    for key in ("submission", "submissions", "routes[1]", "tls"):
        assert key in text
