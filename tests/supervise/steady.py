"""A stand-in program: notes its start, works until SIGTERM, notes its end."""

import os
import signal
from pathlib import Path

from appliance import log
from appliance.control import Control
from appliance.state import State


def main(state: State) -> int:
    name = Path("/proc/self/comm").read_text().strip()
    log.setup(name)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    descriptors = " ".join(sorted(os.listdir("/proc/self/fd")))
    log.started(Control(state).current().name, descriptors=descriptors)
    signal.sigwait({signal.SIGTERM})
    with (state.root / "ended").open("a") as file:
        file.write(f"{name}\n")
    return 0
