"""The program `config` as a process, on a folder with a mail.yaml."""

import sys
from pathlib import Path

from appliance.config.watch import main
from appliance.state import State

if __name__ == "__main__":
    sys.exit(main(State(Path(sys.argv[1]))))
