"""The schema: complete, valid, the only home of defaults, and the source of the reference."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.config import pipeline, schema, sound
from appliance.config.control_files import KNOWN
from appliance.config.load import load
from appliance.config.model import build
from appliance.config.reference import page
from appliance.config.rules import broken
from appliance.config.values import FORMATS

ROOT = Path(__file__).parents[2]
WORDS = [
    "version",
    "hostname",
    "domains",
    "mailboxes",
    "aliases",
    "a.example",
    "mx.example.org",
    "alice",
    "x@a.example",
]
WORDS += [
    "deliver",
    "listen",
    "smtp",
    "port",
    "routes",
    "via",
    "control",
    "me",
    "postmaster",
    "relay",
    "allow_from",
    "7d",
]
TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3000) | st.sampled_from(WORDS) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)
GOOD = (ROOT / "tests" / "config" / "golden" / "full" / "mail.yaml").read_bytes()


def parts(part, path=""):
    """Every sub-schema with its path."""
    yield path, part
    for key, inner in part.get("properties", {}).items():
        yield from parts(inner, f"{path}.{key}")
    for key in ("items", "additionalProperties"):
        if isinstance(part.get(key), dict):
            yield from parts(part[key], f"{path}.{key}")


def test_it_is_a_valid_schema():
    """Editors and other tools can use it."""
    checker = Path(sys.executable).with_name("check-jsonschema")
    subprocess.run([checker, "--check-metaschema", schema.FILE], check=True, capture_output=True)


def test_every_control_file_is_named_in_the_reference():
    """Nobody has to provoke an error to learn which ones there are."""
    assert [name for name in KNOWN if name not in schema.schema()["properties"]["control"]["description"]] == []


def test_every_key_is_described_and_closed():
    """The schema is the manual: a type and a description each, unknown keys refused, no oneOf."""
    for path, part in parts(schema.schema()):
        assert "type" in part, path
        assert path.endswith(".items") or part["description"].endswith("."), path
        assert "oneOf" not in part, path
        assert part.get("format", "host-name") in FORMATS, path
        if "properties" in part:
            assert part["additionalProperties"] is False, path
            required = set(part.get("required", ()))
            for key, inner in part["properties"].items():
                optional = "default" in inner or "object" in inner["type"]
                assert optional or key in required, f"{path}.{key} has no default"


def test_defaults_are_valid_themselves():
    """What is left out is as good as what is written."""
    text = b"version: 1\nhostname: mx.example.org\ndomains: {a.example: {catch_all: x@b.example}}\n"
    filled = schema.fill(load(text, "f").tree)
    assert schema.broken(filled) == []
    assert schema.fill(filled) == filled


def test_the_reference_is_in_step():
    """docs/configuration.md is what `python -m appliance.config.reference` prints."""
    assert (ROOT / "docs" / "configuration.md").read_text() == page()


@settings(max_examples=300, deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(schema.schema()["properties"], TREES)) | TREES)
def test_no_tree_is_too_strange_to_be_told_about(tree):
    """Whatever the YAML holds, the answer is mistakes or a configuration, never a crash."""
    found = schema.broken(tree)
    rest, unsound = sound.part(tree, found)
    configuration = build(schema.fill(rest))
    broken(configuration, unsound)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 30), st.binary(max_size=3))
def test_a_damaged_file_is_mistakes_or_a_configuration(start, length, put):
    """An edit gone wrong anywhere in the file is told, not a crash."""
    problems = []
    try:
        configuration = pipeline.parse(GOOD[:start] + put + GOOD[start + length :], "mail.yaml")
        pipeline.warnings(configuration)
        pipeline.compile_files(configuration)
    except pipeline.ConfigError as error:
        problems = error.problems
    assert all(line.startswith("mail.yaml:") and line.isprintable() for line in problems)


@pytest.mark.parametrize(
    "wrong", [{"version": 1, "hostname": "mx.example.org", "domains": {"a.example": {"mailboxs": {}}}}]
)
def test_what_is_only_misspelt_is_not_missing_as_well(wrong):
    """One typing mistake is one line."""
    found = schema.broken(wrong)
    rest, unsound = sound.part(wrong, found)
    assert len(found) == 1
    assert broken(build(schema.fill(rest)), unsound) == []
