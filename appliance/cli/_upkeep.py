"""`paperpath queue check|recover|backup|restore`: is the queue in order, and what to do if it is not."""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from appliance import safeio
from appliance.cli import state_option
from appliance.queue.ask import NoAnswer, ask_lines, is_running
from appliance.queue.body import Bodies
from appliance.queue.durable import DurableStore
from appliance.queue.rescue import aside, backup, checkup
from appliance.state import State

CANNOT = 111
VERBS = ("check", "recover", "backup", "restore")


def arguments(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the four."""
    check = verbs.add_parser("check", help="read everything: is it whole? Exit status 0 if it is, 1 if not")
    check.add_argument("--json", action="store_true", help="one JSON object a line")
    recover = verbs.add_parser(
        "recover", help="bring back what can be read of a damaged queue that was set aside; end what is astray"
    )
    recover.add_argument("folder", nargs="?", metavar="FOLDER", help="damaged-TIME in queue/, or a copy elsewhere")
    recover.add_argument(
        "--again", action="store_true", help="even if it was recovered: what was delivered comes twice"
    )
    save = verbs.add_parser("backup", help="write all messages to a file, while mail goes on")
    save.add_argument("file", metavar="FILE-or-DIR", type=Path, help="in a folder it is named by the time")
    restore = verbs.add_parser("restore", help="bring the messages of a backup into a queue that does not run")
    restore.add_argument("file", metavar="FILE", type=Path, help="that `backup` wrote")
    restore.add_argument("--add", action="store_true", help="even if there are messages in the queue; those stay")
    for verb in (check, recover, save, restore):
        state_option(verb)


def run(args: argparse.Namespace) -> int:
    """One of them; 111 if it can't be done, with the reason on stderr."""
    state = State(args.state.resolve())
    try:
        return {"check": _check, "recover": _recover, "backup": _backup, "restore": _restore}[args.verb](args, state)
    except OSError as error:
        print(f"paperpath queue {args.verb}: {error}", file=sys.stderr)
        return CANNOT


def _check(args: argparse.Namespace, state: State) -> int:
    problems = messages = 0
    for item in _found(state):
        if "problem" in item:
            problems += 1
        messages = int(item.get("messages", messages))
        if args.json:
            print(json.dumps(item))
        elif "problem" in item:
            print(item["problem"])
    if not args.json and not problems:
        print(f"well: {messages} messages, all of them whole")
    return 1 if problems else 0


def _found(state: State) -> "list[dict[str, str | int]]":
    if is_running(state):
        return [json.loads(line) for line in ask_lines(state, {"do": "check"})]
    if not state.queue.exists():
        raise NoAnswer(f"there is no {state.queue}; is that the right --state?")
    held = aside.hold(state.queue)
    try:
        found = checkup.at_rest(state)
        return [{"messages": each} if isinstance(each, int) else {"problem": each} for each in found]
    finally:
        os.close(held)


def _recover(args: argparse.Namespace, state: State) -> int:
    folder = _folder(args.folder, state) if args.folder else None
    if folder is not None and (folder / "report").exists():
        if not args.again:
            print(f"{folder} is recovered: read {folder / 'report'}; --again does it once more", file=sys.stderr)
            return 1
        for name in ("report", "found", "fed", "told"):
            (folder / name).unlink(missing_ok=True)
        safeio.write_file(folder / "again", [b""], 0o600)
        safeio.sync_directory(folder)
    if not is_running(state):
        print(
            "Paperpath does not run: what was set aside is recovered when it does; what is astray, by this command then"
        )
        return 0
    for line in ask_lines(state, {"do": "recover"}):
        print(_told(json.loads(line)))
    return 0


def _told(item: dict[str, Any]) -> str:
    if "folder" in item:
        how = "is recovered" if item["recovered"] else "is being recovered, the log says how it ends"
        return f"{item['folder']}: {how}"
    what = f"message {item['message']} without deliveries" if "message" in item else f"delivery of {item['delivery']}"
    return f"{what}: {item['ends']}"


def _folder(name: str, state: State) -> Path:
    """A folder of the queue's; one that lies elsewhere is copied there. Raises OSError."""
    folder = state.queue / name
    if folder.parent == state.queue and name.startswith("damaged-") and folder.is_dir():
        return folder
    source = Path(name).resolve()
    if not (source / "queue.sqlite").exists() and not (source / "journal").exists():
        raise NoAnswer(f"{source} has no queue.sqlite and no journal: it is no queue")
    folder = state.queue / time.strftime("damaged-%Y%m%dT%H%M%SZ-copy", time.gmtime())
    shutil.copytree(source, folder)
    (folder / "reason").write_text(f"it was copied from {source}")
    return folder


@contextmanager
def _at_rest(state: State) -> Iterator[tuple[DurableStore, Bodies]]:
    """The files of a queue that does not run. Raises OSError."""
    held = aside.hold(state.queue)
    try:
        if why := aside.suspicion(state) or aside.examine(state):
            raise NoAnswer(f"{why}: start Paperpath, it sets the queue aside and recovers what can be read")
        store, bodies = DurableStore(state.database, state.journal), Bodies(state.bodies)
        try:
            yield store, bodies
        finally:
            store.close()
            bodies.close()
    finally:
        os.close(held)


def _backup(args: argparse.Namespace, state: State) -> int:
    path = args.file.resolve()
    if path.is_dir():
        path /= time.strftime("queue-%Y%m%dT%H%M%SZ.backup", time.gmtime())
    if is_running(state):
        count = backup.write(path, ask_lines(state, {"do": "backup"}))
    else:
        with _at_rest(state) as (store, bodies):
            count = backup.write(path, backup.frames_at_rest(store, bodies))
    print(f"{path}: {count} messages")
    return 0


def _restore(args: argparse.Namespace, state: State) -> int:
    count = backup.verify(args.file)
    if is_running(state):
        raise NoAnswer("the queue runs; stop Paperpath first")
    state.bodies.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _at_rest(state) as (store, bodies):
        if store.count() and not args.add:
            raise NoAnswer(
                f"there are {store.count()} messages in the queue already. `--add` brings the {count} of the backup into it, too: "
                "those that are there stay as they are"
            )
        found = backup.restore(args.file, store, bodies)
    print(f"{found.messages} messages are in the queue again" + (f", {found.known} were there" if found.known else ""))
    print("What was delivered after the backup was made is delivered once more.")
    return 0
