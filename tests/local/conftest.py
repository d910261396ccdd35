"""The parts of a local delivery, put together for one test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_parts import Local, StandIn, make_state

from appliance.state import State


@pytest.fixture
def state(tmp_path: Path) -> State:
    return make_state(tmp_path)


@pytest.fixture
def queue(state: State) -> Iterator[StandIn]:
    standin = StandIn(state)
    yield standin
    standin.close()


@pytest.fixture
def local(state: State, queue: StandIn) -> Iterator[Local]:
    """The program, connected to the queue."""
    program = Local(state)
    queue.until(lambda: queue.credit > 0)
    yield program
    program.stop()
