"""The YAML that an import prints reads back as what it was."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.config.load import load
from appliance.config.qmail.emit import yaml

TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_categories=("Cc", "Cs")), max_size=12)
TEXT |= st.sampled_from(
    [
        "true",
        "null",
        "12",
        "-1",
        "012",
        "1.5",
        "~",
        "",
        "a: b",
        "- x",
        "#",
        "x #y",
        "a,b",
        "[",
        "{",
        "&a",
        "*a",
        "!t",
        "|c",
        "%",
    ]
)
VALUES = st.recursive(
    TEXT | st.integers(0, 10**9) | st.booleans(),
    lambda inner: (
        st.lists(TEXT | st.integers(0, 9) | st.dictionaries(TEXT, TEXT, max_size=2), max_size=10)
        | st.dictionaries(TEXT, inner, max_size=5)
    ),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=6))
def test_it_reads_back_as_what_it_was(tree):
    """Whatever stands in names and lines: quoted where it could be taken for something else."""
    assert load(yaml(tree).encode(), "mail.yaml").tree == tree
