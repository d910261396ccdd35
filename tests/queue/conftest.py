"""The stores, and a queue on each."""

import pytest
from queue_parts import Desk, make_state
from queue_process import Running

from appliance import log
from appliance.queue.durable import DurableStore
from appliance.queue.memory import MemoryStore
from appliance.queue.sqlite import SqliteStore

STORES = {
    "durable": lambda folder: DurableStore(folder / "queue.sqlite", folder / "journal"),
    "sqlite": lambda folder: SqliteStore(folder / "queue.sqlite"),
    "memory": lambda _: MemoryStore(),
}


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    made = STORES[request.param](tmp_path)
    if isinstance(made, SqliteStore):  # no power fails here: thousands of syncs only take their time
        made._connection.pragma("synchronous", "off")
    yield made
    made.close()


@pytest.fixture
def lines(tmp_path):
    """What is logged, as text."""
    path = tmp_path / "log"
    with open(path, "wb", buffering=0) as file:
        log.setup("queue", fd=file.fileno())
        yield path.read_text
        log.setup("queue")


@pytest.fixture
def desk(tmp_path, store, lines):  # the log goes to a file
    made = Desk(make_state(tmp_path / "state"), store)
    yield made
    made.service.bodies.close()


@pytest.fixture
def running(tmp_path):
    """The queue as a process."""
    made = Running(make_state(tmp_path / "state"))
    yield made
    made.stop()
