"""`qmail-qstat`: how many messages wait. None is ever unsorted here: a message is sorted as it is accepted."""

import sys

from appliance.command import PERMANENT, TEMPORARY, die, state
from appliance.queue.ask import NoAnswer, ask

NAME = "qmail-qstat"


def main() -> int:
    """Print both of qmail's lines; 0, 100 with an argument, 111 if the queue can't be asked."""
    if len(sys.argv) > 1:
        die(PERMANENT, NAME, "it takes no arguments")
    try:
        for item in ask(state(), {"do": "ping"}):
            print(f"messages in queue: {item['messages']}")
            print("messages in queue but not yet preprocessed: 0")
    except NoAnswer as error:
        die(TEMPORARY, NAME, str(error))
    return 0
