"""`qmail-qread`: each message in the queue, and who has got it or still waits; the oldest first."""

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from appliance.command import PERMANENT, TEMPORARY, die, state
from appliance.message.date import day_and_time
from appliance.queue.ask import NoAnswer, ask

NAME = "qmail-qread"


def page(item: dict[str, Any]) -> Iterator[str]:
    """A message's lines in qmail's form; the id is ours, as `paperpath queue show` takes it."""
    born = datetime.fromisoformat(item["born"])
    date = f"{day_and_time(born.timetuple()).decode()} GMT"
    flag = " bouncing" if item["failures"] else ""
    yield f"{date}  #{item['message']}  {item['size']}  <{_plain(item['sender'])}> {flag}"
    for entry in item["done"]:
        yield f"  done\t{entry['channel']}\t{_plain(entry['address'])}"
    for entry in item["recipients"]:
        yield f"\t{entry['channel']}\t{_plain(entry['address'])}"


def _plain(text: str) -> str:
    """Visible ASCII; anything else would steer a terminal or break a script's columns."""
    return "".join([letter if "!" <= letter <= "~" else "_" for letter in text])


def main() -> int:
    """Print the queue; 0, 100 with an argument, 111 if the queue can't be asked."""
    if len(sys.argv) > 1:
        die(PERMANENT, NAME, "it takes no arguments")
    try:
        for item in ask(state(), {"do": "list"}):
            print("\n".join(page(item)))
        sys.stdout.flush()
    except NoAnswer as error:
        die(TEMPORARY, NAME, str(error))
    except BrokenPipeError:  # the reader has seen enough
        sys.stderr.close()
    return 0
