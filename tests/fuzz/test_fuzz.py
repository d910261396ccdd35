"""A regression of any parser is seen in every run: kept inputs again, and a few hundred mutated ones of a fixed seed."""

import itertools
from pathlib import Path

import fuzz
import fuzz_targets
import mutation
import pytest

FEW = 150  # mutated inputs of a target; `make fuzz` tries as many as there is time for
SLOW = 20  # seconds for one input, on a machine that is busy with other things
KEPT = [(name, path) for name in fuzz_targets.TARGETS for path in sorted((fuzz.CORPUS / name).iterdir())]


@pytest.mark.parametrize(("name", "path"), KEPT, ids=[f"{name}-{path.name}" for name, path in KEPT])
def test_a_kept_input_breaks_nothing(name, path):
    """Valid ones, and all that once were trouble."""
    with mutation.within(SLOW):
        fuzz_targets.load(name).target(path.read_bytes())


@pytest.mark.parametrize("name", fuzz_targets.TARGETS)
def test_a_few_mutated_inputs_break_nothing(name):
    """The same ones each time: the seed is the target's name."""
    module = fuzz_targets.load(name)
    for data in itertools.islice(mutation.mutations(fuzz.kept(name), module.WORDS, name), FEW):
        with mutation.within(SLOW):
            module.target(data)


def test_every_target_is_in_the_table_and_has_a_corpus():
    """And the corpora stay small enough for git: some KB in all."""
    modules = {path.stem for path in (fuzz.HERE / "fuzz_targets").glob("[a-z]*.py")}
    assert modules == set(fuzz_targets.TARGETS)
    assert {path.name for path in fuzz.CORPUS.iterdir()} == modules
    files = [path for path in fuzz.CORPUS.rglob("*") if path.is_file()]
    assert all(path.stat().st_size <= 2 * mutation.LONGEST for path in files)
    assert sum(path.stat().st_size for path in files) < 64 * 1024


def spins(data):
    while True:
        pass


@pytest.mark.parametrize("broken", [lambda data: int(data[40:42] or b"1"), spins])
def test_a_parser_that_breaks_or_hangs_is_found_and_its_input_kept(monkeypatch, tmp_path: Path, broken, capsys):
    """Or all of this would show nothing."""
    monkeypatch.setattr(fuzz, "ONE_INPUT", 0.2)
    monkeypatch.setattr(fuzz_targets.load("netstring"), "target", broken)
    assert fuzz.main(["netstring", "--mutations", "--seconds", "20", "--seed", "1", "--build", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    (kept,) = (tmp_path / "broken").iterdir()
    assert "broken: netstring" in said
    assert str(kept) in said
    with pytest.raises((ValueError, mutation.Hang)), mutation.within(0.2):
        broken(kept.read_bytes())


def test_the_same_seed_gives_the_same_inputs():
    """What CI found is found at home."""
    twice = [list(itertools.islice(mutation.mutations([b"abc", b"x" * 99], (b"word",), 7), 50)) for _ in range(2)]
    assert twice[0] == twice[1]
    assert len(set(twice[0])) > 40
    assert max(map(len, twice[0])) <= mutation.LONGEST
