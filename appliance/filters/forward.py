"""`forward RECIPIENT ...`: send the message on, with the sender that a dot-qmail file's own forwards have."""

import sys

from appliance.filters import send_on, variable, words

NAME = "forward"


def main() -> int:
    """Queue it; 0, 100, 111."""
    send_on(NAME, variable(NAME, b"NEWSENDER"), words(sys.argv))
    return 0
