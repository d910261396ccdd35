"""Inside the machine whose power will be cut: Paperpath on a logged device, and a client that marks each 250 in the log.

python tests/power/power_inside.py MESSAGES      (the only process of user-mode-linux, started by power_machine.py)
"""

import smtplib
import subprocess
import sys
import time
import traceback
from pathlib import Path

from power_letters import MARK, RECIPIENTS, letter

DEVICE, LOG, NAME = "/dev/ubdb", "/dev/ubdc", "/dev/mapper/forgetful"
MOUNT = Path("/mnt")
CONFIG = """
version: 1
hostname: mx.example.org
listen: {smtp: {address: 127.0.0.1, port: 2525}}
domains: {example.org: {mailboxes: {alice: {}, bob: {}, box: {deliver: ["./mbox"]}}, aliases: {postmaster: [alice]}}}
relay: {allow_from: [127.0.0.1/32]}
routes: [{domain: "*", via: "smtp://127.0.0.1:1"}]
"""


def run(*words: str) -> str:
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def mark(text: str) -> None:
    """All writes that were complete before this are before it in the log."""
    run("dmsetup", "message", "forgetful", "0", "mark", text)


def prepare() -> None:
    """The device, its file system, the network."""
    release = run("uname", "-r").strip()
    for module in ("dm-mod", "dm-log-writes"):
        run("insmod", f"/usr/lib/uml/modules/{release}/kernel/drivers/md/{module}.ko")
    run("ip", "link", "set", "lo", "up")
    sectors = run("blockdev", "--getsz", DEVICE).strip()
    table = f"0 {sectors} log-writes {DEVICE} {LOG}"
    run("dmsetup", "--noudevrules", "--noudevsync", "create", "forgetful", "--table", table)
    run("dmsetup", "--noudevrules", "--noudevsync", "mknodes")
    run("mkfs.ext4", "-q", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", NAME)
    run("mount", "-o", "nodiscard", NAME, str(MOUNT))


def send(messages: int) -> None:
    """One message after the other, each marked when it was answered 250; a second client's come between."""
    clients = [connect(), connect()]
    for number in range(messages):
        sender, whom, content = letter(number)
        clients[number % 2].sendmail(sender, whom, content.replace(b"\n", b"\r\n"))
        mark(f"{MARK}{number}")
    for client in clients:
        client.quit()


def connect() -> smtplib.SMTP:
    """Raises OSError if Paperpath does not listen within a minute."""
    end = time.monotonic() + 60
    while True:
        try:
            return smtplib.SMTP("127.0.0.1", 2525, timeout=60)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def main() -> None:
    """Everything; then the power is off at once."""
    prepare()
    state = MOUNT / "state"
    state.mkdir()
    run("chown", "65534:65534", str(state))
    mark("begin")
    Path("/tmp/mail.yaml").write_text(CONFIG)
    command = [str(Path(sys.prefix) / "bin/paperpath"), "run", "--config", "/tmp/mail.yaml", "--state", str(state)]
    running = subprocess.Popen(command)
    send(int(sys.argv[1]))
    time.sleep(2)
    mark("end")
    print("marked", len(RECIPIENTS), "kinds;", running.poll() is None and "it runs", flush=True)


if __name__ == "__main__":
    try:
        main()
    except BaseException:  # noqa: BLE001  # nobody else would tell
        traceback.print_exc()
    sys.stdout.flush()
    Path("/proc/sysrq-trigger").write_text("o")
    time.sleep(60)
