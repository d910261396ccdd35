"""Paths of the state folder."""

from pathlib import Path

from appliance.state import State


def test_everything_lies_below_the_root_where_outside_checks_look() -> None:
    """Names that people and tools rely on."""
    state = State(Path("/s"))
    found = [state.generation, state.generations, state.queue, state.database, state.bodies, state.mail, state.run]
    found += [state.lock, state.tokens, state.door("lease")]
    assert [str(path) for path in found] == [
        *(
            "/s/generations/active",
            "/s/generations",
            "/s/queue",
            "/s/queue/queue.sqlite",
            "/s/queue/body",
            "/s/mail",
            "/s/run",
        ),
        *("/s/run/lock", "/s/run/tokens", "/s/run/lease.sock"),
    ]
