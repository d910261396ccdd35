"""A mailbox's program that has been taken over: it tries everything, and leaves the answers in its home."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from partition_attempts import Here, attempts

answers = dict(attempts(Here(**json.loads(Path("here.json").read_text()))))
Path("answers.new").write_text(json.dumps(answers))
Path("answers.new").rename("answers.json")
