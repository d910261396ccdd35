"""One target under atheris: `coverage_guided.py NAME [libFuzzer's options] CORPUS...`; fuzz.py starts it."""

import sys

import atheris
import fuzz_targets


def main() -> None:
    """Never returns: libFuzzer ends the process, with a status other than 0 if an input broke something."""
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["appliance", "fuzz_targets"]):
        target = fuzz_targets.load(name).target
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
