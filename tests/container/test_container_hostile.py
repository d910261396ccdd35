"""Hostile clients of the hardened container: what tests/hostile/ tries in the tree, where the limits must hold.

Behind a published port everybody is the gateway, so clients of several addresses are inside, on its loopback.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from containers import ROOT, Container, wait_until

pytestmark = pytest.mark.container

PORTS = {"smtp": 2525, "pop3": 2110, "qmqp": 2628}
LISTEN = """\
  smtp: {address: 0.0.0.0, port: 2525}
  pop3: {address: 0.0.0.0, port: 2110}
  qmqp: {address: 0.0.0.0, port: 2628, allow: [127.0.0.0/8]}
"""
HASH = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"  # of "secret", cheap
MORE = 'routes: [{domain: "*", via: "smtp://127.0.0.1:9"}]\nqueue: {size: 1MiB}\n'  # nobody listens there
IN_TIME = 30.0  # seconds for a message by SMTP, one by QMQP and a log-in; a quiet machine needs one

FLOODS = """
import json, sys
sys.path.insert(0, "/clients")
from hostile_host import Clients, Flood
clients, took = Clients(json.loads(sys.argv[1])), {}
for name, said in (("smtp", "NOOP"), ("pop3", "USER x"), ("qmqp", "9:")):
    with Flood(clients, name, said=said):
        took[name] = clients.answer("127.0.0.2")
print(json.dumps(took))
"""

SLOW = """
import socket, time
with socket.create_connection(("127.0.0.1", 2525), 20) as client:
    client.recv(1000)
    client.settimeout(0.1)
    told, until = b"", time.monotonic() + 60
    while not told and time.monotonic() < until:
        client.send(b"N")
        try:
            told = client.recv(1000)
        except TimeoutError:
            pass
print(told.decode())
"""


@pytest.fixture(scope="module")
def attacked(podman_works: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A container with three listeners, and the clients of tests/hostile/ in a folder inside."""
    clients = tmp_path_factory.mktemp("clients")
    clients.chmod(0o755)
    for source in ("hostile/hostile_host.py", "end_to_end/appliance_process.py"):
        shutil.copyfile(ROOT / "tests" / source, clients / Path(source).name)
        (clients / Path(source).name).chmod(0o644)
    made = Container(tmp_path_factory.mktemp("attacked"), aliases="      out: [carol@elsewhere.example]", more=MORE)
    made.yaml = made.yaml.replace("  smtp: {address: 0.0.0.0, port: 2525}\n", LISTEN)
    made.yaml = made.yaml.replace("alice: {}", f'alice: {{password: "{HASH}"}}')
    made.configure(made.yaml)
    try:
        made.start("--volume", f"{clients}:/clients:ro", "--env", "PYTHONDONTWRITEBYTECODE=1")
        wait_until(lambda: {"pop3d", "qmtpd"} <= {line["program"] for line in made.log("started")}, 60, made.output)
        yield made
    finally:
        made.remove()


def test_a_flood_on_one_listener_leaves_the_others_answering(attacked):
    """Three hundred hanging connections of one address, made anew all the time: another one is served by all listeners."""
    took = json.loads(attacked.run("python3", "-c", FLOODS, json.dumps(PORTS)))
    assert took.keys() == PORTS.keys()
    assert max(took.values()) < IN_TIME, took


def test_a_slow_client_is_not_kept(attacked):
    """A byte of a command ten times a second is no progress: 421 after the time-out (here: a second)."""
    attacked.configure(attacked.yaml + "timeouts: {smtpd: 1s}\n")
    wait_until(lambda: len(attacked.log("activated")) == 2, 30, attacked.output)
    assert attacked.run("python3", "-c", SLOW).startswith("421 4.4.2 timeout")
    attacked.configure(attacked.yaml)


def test_for_what_does_not_fit_into_the_queue_it_is_452_at_mail(attacked):
    """Before the content is sent; what was not announced hears it at its end."""
    content = b"Subject: x\r\n\r\n" + (b"x" * 70 + b"\r\n") * 4000

    def send(*parameters: str) -> tuple[str, int, bytes]:
        """Where it ended, and the answer there."""
        with attacked.smtp() as session:
            session.ehlo()
            answer = session.mail("sender@client.example", parameters)
            if answer[0] != 250:
                return "MAIL", *answer
            assert session.rcpt("out@example.org")[0] == 250
            return "DATA", *session.data(content)

    full = 452, b"4.3.1 no room for new mail now, try again later"
    wait_until(lambda: send()[1:] == full, 30, attacked.output)
    wait_until(lambda: send(f"SIZE={len(content)}") == ("MAIL", *full), 30, attacked.output)
