"""Who may touch what: one row for each program that is locked in before it reads anything from outside.

The program itself locks itself in by its row (`sandbox.lock`), and `paperpath sandbox` prints the rows.  The launcher's
row, and those of the programs that it starts, are in `launcher/reach.py`.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from appliance import call_groups
from appliance.sandbox import Rules
from appliance.state import State


def receiving(state: State, ports: Iterable[int]) -> Rules:
    """`smtpd`, `qmtpd`: what strangers talk to writes no file and connects to nothing but the queue's door."""
    return Rules(read=(state.generations,), bind=tuple(ports), calls=call_groups.RECEIVING)


def queue(state: State) -> Rules:
    """What keeps all mail reads the configuration, and nobody's mailbox."""
    return Rules(read=(state.generations,), write=(state.queue,), calls=call_groups.QUEUE)


def local(state: State) -> Rules:
    """What delivers to mailboxes starts no program; it asks the launcher."""
    return Rules(read=(state.generations,), write=(state.mail,), calls=call_groups.LOCAL)


def remote(state: State, ports: Iterable[int]) -> Rules:
    """What talks to the world's hosts writes no file. resolv.conf and hosts are readable for every program."""
    return Rules(read=(state.generations,), connect=tuple(sorted(ports)), calls=call_groups.REMOTE)


def pop3d(state: State, port: int, folders: Iterable[Path]) -> Rules:
    """Mailboxes may change; secrets may be read, here and in the folders where the configuration says they are."""
    secrets = (state.secrets, *(folder for folder in folders if os.path.isdir(folder)))  # a closed one is none
    return Rules(read=(state.generations, *secrets), write=(state.mail,), bind=(port,), calls=call_groups.POP3D)


def config(state: State, folders: Iterable[Path]) -> Rules:
    """What reads the YAML writes generations, and talks to nobody. folders: of the YAML and of the schema."""
    return Rules(read=tuple(folders), write=(state.generations, state.secrets), calls=call_groups.CONFIG)
