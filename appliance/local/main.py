"""The local program: delivers to the mailboxes of this host."""

import os
import signal

from appliance import door, log, safeio, sandbox
from appliance.control import Control
from appliance.local.deliver import Deliverer
from appliance.local.disk import Disk
from appliance.local.forward import Forwarder
from appliance.local.maildir import Maildirs
from appliance.local.worker import Worker
from appliance.state import State


def main(state: State) -> int:
    """Deliver until SIGTERM; returns the exit status."""
    # lines are written at the end of each batch
    log.setup("local", lambda _flush: None)
    os.umask(0o077)
    stop, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # the byte in the pipe is what stops us
    hello = door.hello("local", door.read_token(state, "local"))
    if not state.mail.is_dir():
        state.mail.mkdir(mode=0o700, parents=True, exist_ok=True)
        safeio.sync_directory(state.root)
    disk = Disk(os.fsencode(state.mail))
    lacks = sandbox.lock(sandbox.Rules(read=(state.generations,), write=(state.mail,)))
    if lacks:
        log.warning("sandbox: " + "; ".join(lacks))
    forwarder = Forwarder(state, hello)
    log.started(Control(state).current().name, sync="syncfs" if disk.whole else "fdatasync")
    log.flush()
    Worker(state, hello, Deliverer(state, Maildirs(os.fsencode(state.mail), disk), forwarder), stop).run()
    log.stopping("SIGTERM")
    forwarder.close()
    disk.close()
    os.close(stop)
    signal.set_wakeup_fd(-1)
    os.close(wake)
    log.stopped()
    log.flush()
    return 0
