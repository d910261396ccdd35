"""Asking the queue from a command line: by its admin door while it runs, else its file.

Items come as JSON objects, one at a time, never all in memory.
"""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

from appliance import door, message_id, netstring
from appliance.control import Control
from appliance.queue.body import Bodies
from appliance.queue.durable import DurableStore
from appliance.queue.look import PAGE, Public, listed, shown
from appliance.queue.postmaster import CHANGES, at_rest
from appliance.queue.retry import SOME
from appliance.queue.store import Store
from appliance.route import Routes
from appliance.state import State

TIMEOUT = 60.0
_ERROR = b'{"error": '
_FRAME = 64 * 1024 * 1024  # a message with a hundred thousand recipients is one item


class NoAnswer(OSError):
    """Neither the queue nor its file can be asked; says why."""


def is_running(state: State) -> bool:
    """Whether somebody listens at the admin door."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT)
        try:
            connection.connect(str(state.door("admin")))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True


def ask(state: State, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The items of a `list`, `show`, `ping`, `retry` or `silent`. Raises NoAnswer."""
    return map(json.loads, ask_lines(state, request))


def ask_lines(state: State, request: dict[str, Any]) -> Iterator[bytes]:
    """The same, each as the JSON it comes as. Raises NoAnswer."""
    try:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(TIMEOUT)
        connection.connect(str(state.door("admin")))
        hello = door.hello("admin", door.read_token(state, "admin"))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        yield from _from_file(state, request)
        return
    except OSError as error:
        connection.close()
        raise NoAnswer(f"cannot ask the queue in {state.root}: {error.strerror or error}") from error
    with connection:
        yield from _by_door(connection, hello, request)


def _by_door(connection: socket.socket, hello: bytes, request: dict[str, Any]) -> Iterator[bytes]:
    decoder = netstring.Decoder(_FRAME)
    try:
        connection.sendall(hello + netstring.encode(json.dumps(request).encode()))
        while data := connection.recv(1 << 16):
            for frame in decoder.feed(data):
                if not frame:
                    return
                if frame.startswith(_ERROR):
                    raise NoAnswer(json.loads(frame)["error"])
                yield frame
    except (TimeoutError, ConnectionError, ValueError) as error:
        raise NoAnswer(f"the queue broke off: {error}") from error
    raise NoAnswer("the queue closed the connection (it is stopping, or the role token is not its own)")


def _from_file(state: State, request: dict[str, Any]) -> Iterator[bytes]:
    if request["do"] == "silent":  # remembered in memory only
        return
    if not state.database.exists():
        raise NoAnswer(f"the queue does not run, and there is no {state.database}; is that the right --state?")
    try:
        store = DurableStore(state.database, state.journal)
    except OSError as error:
        raise NoAnswer(f"the queue's door does not answer, and its file can't be read: {error}") from error
    bodies = Bodies(state.bodies)
    public = _public(state)
    try:
        if request["do"] == "ping":
            yield _line({"messages": store.count()})
            return
        if request["do"] == "list":
            yield from map(_line, _list(store, public))
            return
        if request["do"] == "retry" and "id" not in request:
            yield _line({"due": _retry(store)})
            return
        if request["do"] in CHANGES:
            number = message_id.parse(request["id"])
            if store.contains(number):
                count = at_rest(store, bodies, request["do"], number)
                yield _line({"message": message_id.text(number), "deliveries": count})
            return
        found = store.show(message_id.parse(request["id"]))
        if found is not None:
            item, content, failures = found
            yield _line(shown(item, content or bodies.header(item.message.id), failures, time.time(), public))
    finally:
        store.close()
        bodies.close()


def _retry(store: Store) -> int:
    due, after, moved = time.time(), 0, 0
    while True:
        found = store.bring_forward(after, due, SOME)
        after, moved = found.end, moved + found.moved
        if not after:
            return moved


def _line(item: dict[str, Any]) -> bytes:
    return json.dumps(item).encode()


def _public(state: State) -> Public:
    try:
        return Routes.of(Control(state).current()).public
    except (OSError, LookupError):  # no configuration: the addresses as they are kept
        return bytes


def _list(store: Store, public: Public) -> Iterator[dict[str, Any]]:
    after = 0
    while page := store.listing(after, PAGE):
        for item in page:
            yield listed(item, time.time(), public)
        after = page[-1].message.id
