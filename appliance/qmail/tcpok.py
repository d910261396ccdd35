"""`qmail-tcpok`: forget which addresses did not answer, so that they are tried at the next attempt."""

import sys

from appliance.command import PERMANENT, TEMPORARY, die, state
from appliance.queue.ask import NoAnswer, ask

NAME = "qmail-tcpok"


def main() -> int:
    """Forget them; 0, 100 with an argument, 111 if the queue can't be asked."""
    if len(sys.argv) > 1:
        die(PERMANENT, NAME, "it takes no arguments")
    try:
        for _ in ask(state(), {"do": "silent", "forget": True}):
            pass  # what a worker learned meanwhile
    except NoAnswer as error:
        die(TEMPORARY, NAME, str(error))
    return 0
