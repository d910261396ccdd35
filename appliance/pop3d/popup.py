"""`qmail-popup HOSTNAME SUBPROGRAM [ARGUMENT …]`: asks a POP3 client for its password.

What it gets it writes to descriptor 3 of the subprogram (`user NUL password NUL challenge NUL`), which checks
it and becomes qmail-pop3d.  Its exit status is always 1.  Nothing but the system's memory and the subprogram
sees the password.
"""

import os
import signal
import sys
import time
from typing import NoReturn

from appliance import safeio
from appliance.pop3d.authorization import GIVE_UP, Authorization, Login
from appliance.pop3d.standard import Client, Gone

END = 1
CREDENTIALS = 3  # the descriptor, as checkpassword has it
MISUSE, LATER = 2, 111


def main() -> int:
    """Serve one client; the exit status."""
    if len(sys.argv) < 3:
        sys.stderr.write("qmail-popup: usage: qmail-popup hostname subprogram [argument ...]\n")
        return END
    hostname = os.fsencode(sys.argv[1])
    challenge = b"<%d.%d@%b>" % (os.getpid(), time.time_ns() // 1000, hostname)
    before = Authorization(challenge, passwords=True)  # tcpserver's rules say from where
    client = Client(ahead=False)
    try:
        client.send([before.greeting])
        while not before.quitting and before.bad_commands < GIVE_UP:
            reply = before.answer(client.line())
            if isinstance(reply, Login):
                client.send(_hand_over(reply, challenge))
                return END
            client.send([reply])
    except Gone:
        return END
    return END


def _hand_over(login: Login, challenge: bytes) -> list[bytes]:
    """Run the subprogram; what is to be said when it has not served the client."""
    told = b"\0".join((login.user, login.digest or login.password, challenge, b""))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        _become(read, write)
    os.close(read)
    try:
        safeio.write_all(write, told)
    except BrokenPipeError:  # it did not care to read
        pass
    finally:
        os.close(write)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return [b"-ERR [SYS/TEMP] the program that checks passwords crashed\r\n"]
    match os.waitstatus_to_exitcode(status):
        case 0:
            return []
        case 1:
            return [b"-ERR [AUTH] that is no account here, or not its password\r\n"]
        case status if status == MISUSE:
            return [b"-ERR [SYS/PERM] the program that checks passwords is misused\r\n"]
    return [b"-ERR [SYS/TEMP] log-ins can't be checked now\r\n"]


def _become(read: int, write: int) -> NoReturn:
    try:
        os.close(write)
        if read != CREDENTIALS:
            os.dup2(read, CREDENTIALS)
            os.close(read)
        else:
            os.set_inheritable(read, True)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and that would be inherited
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  # that is its purpose
    except OSError as error:
        os.write(2, f"qmail-popup: {sys.argv[2]}: {error.strerror}\n".encode())
    finally:
        os._exit(LATER)
