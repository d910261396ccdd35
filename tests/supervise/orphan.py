"""A stand-in program that leaves a process behind, as a badly written delivery program does."""

import os
import time

import steady

from appliance.state import State


def main(state: State) -> int:
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(0.2)
            (state.root / "orphan").write_text(str(os.getpid()))
        os._exit(0)
    os.wait()
    return steady.main(state)
