"""A stand-in program that always fails."""

from appliance.state import State


def main(state: State) -> int:
    raise LookupError(f"nothing works in {state.root.name}")
