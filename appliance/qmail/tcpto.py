"""`qmail-tcpto`: the addresses that did not answer lately and are left alone for a while."""

import sys
import time

from appliance.command import PERMANENT, TEMPORARY, die, state
from appliance.queue.ask import NoAnswer, ask

NAME = "qmail-tcpto"


def main() -> int:
    """Print a line an address, as qmail's; 0, 100 with an argument, 111 if the queue can't be asked."""
    if len(sys.argv) > 1:
        die(PERMANENT, NAME, "it takes no arguments")
    try:
        for item in ask(state(), {"do": "silent"}):
            ago = max(0, round(time.time()) - item["when"])
            print(f"{item['ip']} timed out {ago} seconds ago; # recent timeouts: {item['timeouts']}")
    except NoAnswer as error:
        die(TEMPORARY, NAME, str(error))
    return 0
