r"""A backup: one file with all messages as they were when they were read, and a sum over it.

    "paperpath queue backup 1\n", then netstrings:
    M  a message's rows, as a record of the journal      B  a piece of its body file, which follows it
    E  JSON: messages, last (the highest id)             H  SHA-256 of all bytes before, in hex

Messages come in order of their ids until there are no more.  So a backup has every message that was accepted before it
began and has not left the queue before it was read, and the bounce of each that has.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from appliance import netstring, safeio
from appliance.queue.body import Bodies
from appliance.queue.record import Damaged, decode, encode
from appliance.queue.store import Change, Listed, Loaded, Store

MAGIC = b"paperpath queue backup 1\n"
PIECE = 60_000  # bytes of a body file in a frame
SOME = 50  # messages read together
_FRAME = 64 * 1024 * 1024
_BATCH = 4 * 1024 * 1024  # bytes that are restored in a commit


class NoBackup(OSError):
    """The file is no backup, or not a whole one; says why."""


class Restored(NamedTuple):
    """How many messages came into the queue, and how many were there already."""

    messages: int
    known: int


class Read(NamedTuple):
    """A message with the descriptor of its body file, if it has one; -1 if that is missing."""

    item: Listed
    loaded: Loaded
    fd: int | None


def page(store: Store, bodies: Bodies, after: int) -> list[Read]:
    """The messages after an id, with their body files open. Raises Unavailable."""
    items = store.listing(after, SOME)
    loaded = {found.message.id: found for found in store.load([item.message.id for item in items])}
    return [Read(item, loaded[item.message.id], _open(bodies, loaded[item.message.id])) for item in items]


def _open(bodies: Bodies, loaded: Loaded) -> int | None:
    if loaded.message.content is not None:
        return None
    try:
        return bodies.open(loaded.message.id)
    except FileNotFoundError:
        return -1


def frame_of(read: Read) -> bytes:
    """A message's rows."""
    return b"M" + b"".join(encode([change_of(read.item, read.loaded)]))


def change_of(item: Listed, loaded: Loaded) -> Change:
    """What brings a message into a queue as it was."""
    message = loaded.message
    change = Change((message,), item.deliveries, last=message.id + message.deliveries)
    change.failures = [(message.id, text) for text in loaded.failures]
    change.notices = [loaded.notice] if loaded.notice is not None else []
    return change


def end_of(messages: int, last: int) -> bytes:
    """The last frame but for the sum."""
    return b"E" + json.dumps({"messages": messages, "last": last}).encode()


def frames_at_rest(store: Store, bodies: Bodies) -> Iterator[bytes]:
    """All frames of a queue that does not run. Raises Unavailable, OSError."""
    after = count = 0
    while found := page(store, bodies, after):
        for read in found:
            yield frame_of(read)
            if read.fd is not None and read.fd >= 0:
                with os.fdopen(read.fd, "rb") as file:
                    while piece := file.read(PIECE):
                        yield b"B" + piece
            count += 1
        after = found[-1].item.message.id
    yield end_of(count, store.last())


def write(path: Path, frames: Iterable[bytes]) -> int:
    """Write a backup as its frames come; how many messages it has. It has its name when it is whole. Raises OSError."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    digest, count, last = hashlib.sha256(MAGIC), -1, b""
    try:
        with new.open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(MAGIC)
            for last in frames:
                data = netstring.encode(last)
                digest.update(data)
                file.write(data)
            if last[:1] != b"E":
                raise NoBackup("the queue broke off")
            count = int(json.loads(last[1:])["messages"])
            file.write(netstring.encode(b"H" + digest.hexdigest().encode()))
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
    finally:
        new.unlink(missing_ok=True)
    safeio.sync_directory(path.parent)
    return count


def frames(file: BinaryIO) -> Iterator[bytes]:
    """The frames of a backup but for its sum. Raises NoBackup where it is damaged or ends too early."""
    if file.read(len(MAGIC)) != MAGIC:
        raise NoBackup("this is no backup of a queue")
    digest, decoder, ended = hashlib.sha256(MAGIC), netstring.Decoder(_FRAME), False
    try:
        while data := file.read(1 << 16):
            for frame in decoder.feed(data):
                if frame[:1] == b"H":
                    if frame[1:].decode() != digest.hexdigest() or not ended:
                        raise NoBackup("its sum is wrong: it is damaged")
                    return
                digest.update(netstring.encode(frame))
                ended = frame[:1] == b"E"
                yield frame
    except ValueError as error:
        raise NoBackup(f"it is damaged: {error}") from error
    raise NoBackup("its end is missing")


def verify(path: Path) -> int:
    """How many messages a backup has; raises NoBackup if it is not whole."""
    count = 0
    with path.open("rb") as file:
        for frame in frames(file):
            if frame[:1] == b"M":
                try:
                    decode(frame[1:])
                except Damaged as error:
                    raise NoBackup(str(error)) from error
                count += 1
    return count


def restore(path: Path, store: Store, bodies: Bodies) -> Restored:
    """Bring the messages of a backup that was verified into a store; those that are there already stay. Raises OSError."""
    changes: list[Change] = []
    count = known = size = 0
    body: BinaryIO | None = None
    skip = False
    with path.open("rb") as file:
        for frame in frames(file):
            if frame[:1] == b"B":
                if body is not None:
                    body.write(frame[1:])
                continue
            _finish(body)
            body = None
            if frame[:1] == b"E":
                changes.append(Change(last=int(json.loads(frame[1:])["last"])))
                continue
            (change,) = decode(frame[1:])
            message = change.messages[0]
            skip = store.contains(message.id)
            known, count = known + skip, count + (not skip)
            if skip:
                continue
            changes.append(change)
            size += len(frame)
            if message.content is None:
                body = bodies.path(message.id).open("wb")
            if size > _BATCH and body is None:
                size = _commit(store, bodies, changes)
    _finish(body)
    _commit(store, bodies, changes)
    return Restored(count, known)


def _finish(body: BinaryIO | None) -> None:
    """A body file is whole: it is durable before its message is."""
    if body is not None:
        body.flush()
        os.fsync(body.fileno())
        body.close()


def _commit(store: Store, bodies: Bodies, changes: list[Change]) -> int:
    safeio.sync_directory(bodies.folder)
    store.commit(changes)
    changes.clear()
    return 0
