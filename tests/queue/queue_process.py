"""The queue as a process of its own, and those who knock at its doors."""

import json
import signal
import socket
import subprocess
import sys
import time

from appliance import door, netstring

PROGRAM = """
import sys, pathlib
from appliance.queue.main import main
from appliance.state import State
sys.exit(main(State(pathlib.Path(sys.argv[1]))))
"""


class Running:
    """A queue program at work on a state folder."""

    def __init__(self, state):
        self.state = state
        self.log_path = state.root / "queue.log"
        self.process = None
        door.make_tokens(state)
        self.start()

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(self.state.root)], stdout=log)
        self.wait_for(lambda: self.events("started") and self.events("started")[-1]["pid"] == self.process.pid)

    def events(self, name):
        text = self.log_path.read_text()
        lines = text[: text.rfind("\n") + 1].splitlines()
        return [entry for entry in map(json.loads, lines) if entry["event"] == name]

    def wait_for(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited in vain; the log says:\n{self.log_path.read_text()}"
            assert self.process.poll() is None or self.process.returncode == 0, self.log_path.read_text()
            time.sleep(0.01)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def caller(self, name, role, hello=None):
        return Caller(self.state, name, role, hello)


class Caller:
    """A connection at a door."""

    def __init__(self, state, name, role, hello=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(60)
        try:
            self._connect(str(state.door(name)))
            self.socket.sendall(door.hello(role, door.read_token(state, role)) if hello is None else hello)
        except OSError:
            self.close()
            raise
        self._decoder = netstring.Decoder(64 << 20)
        self._frames = []

    def _connect(self, path):
        """Wait while the door's backlog is full: a socket with a time limit is told so at once (unix(7), EAGAIN)."""
        end = time.monotonic() + 60
        while True:
            try:
                return self.socket.connect(path)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def say(self, *frames):
        self.socket.sendall(b"".join(frames))

    def hear(self):
        """The next frame; None when the queue has closed the connection."""
        while not self._frames:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._frames += self._decoder.feed(data)
        return self._frames.pop(0)

    def ask(self, **request):
        """An admin request's items."""
        self.say(netstring.encode(json.dumps(request).encode()))
        items = []
        while frame := self.hear():
            items.append(json.loads(frame))
        return items

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
