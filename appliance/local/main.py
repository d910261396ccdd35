"""The local program: delivers to the mailboxes of this host."""

import os
import signal

from appliance import door, log, partition, safeio, sandbox
from appliance.control import Control
from appliance.local.deliver import Deliverer
from appliance.local.disk import Disk
from appliance.local.forward import Forwarder
from appliance.local.maildir import Maildirs
from appliance.local.steps import Steps
from appliance.local.worker import Worker
from appliance.state import State

CANNOT = 111  # the exit status that asks to be started again later, as qmail's


def main(state: State) -> int:
    """Deliver until SIGTERM; 0, or 111 if the state folder can't be used."""
    log.setup("local", lambda _flush: None)  # lines are written once a batch
    os.umask(0o077)
    stop, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # the byte in the pipe is what stops us
    try:
        hello, to_launcher = (door.hello(role, door.read_token(state, role)) for role in ("local", "programs"))
        if not state.mail.is_dir():
            state.mail.mkdir(mode=0o700)
            safeio.sync_directory(state.root)
        safeio.keep_private(state.mail)
        disk = Disk(os.fsencode(state.mail))
        name = Control(state).current().name
    except OSError as error:
        log.trouble("local: cannot start", error)
        log.flush()
        return CANNOT
    for missing in sandbox.lock(partition.local(state)):
        log.warning(missing)
    forwarder = Forwarder(state, hello)
    log.started(name, sync="syncfs" if disk.whole else "fdatasync")
    log.flush()
    mail = os.fsencode(os.path.abspath(state.mail))
    # one at a time, each synced by itself
    steps = Steps(state, hello, to_launcher, mail, Maildirs(mail, Disk(mail, whole=False)))
    Worker(state, hello, Deliverer(state, Maildirs(mail, disk), forwarder, steps), stop).run()
    log.stopping("signal")
    forwarder.close()
    disk.close()
    log.stopped()
    log.flush()
    return 0
