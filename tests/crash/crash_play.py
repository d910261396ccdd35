"""What clients, senders and the postmaster do, each until it was told that it is done.

Whoever hears nothing, or a 4xx, does the same again, as every sender does: so a message may be sent twice, and must never be
missing.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable

from crash_letters import Letter, Letters
from crash_reader import Reader
from crash_world import PATIENCE, STEP, Stuck, World

from appliance import netstring

EVE = "eve@client.example"


class Play:
    """A world with the letters of the scene at hand."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.letters = Letters(world.state.mail, world.host)
        self.new = self.letters.new
        self.added = 0  # mailboxes that the YAML got later, one at a time

    # -- clients

    def send(self, letter: Letter, *recipients: str, sender: str = EVE, pipelined: bool = True) -> str:
        """By SMTP, until it is answered 250; the queue's id of it."""
        verbs = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{to}>" for to in recipients), "DATA"]
        return self._again(lambda: self._send(letter, verbs, pipelined), "a 250")

    def _again(self, attempt: Callable[[], str | None], what: str) -> str:
        end = time.monotonic() + self.world.patience
        while time.monotonic() < end:
            with contextlib.suppress(OSError, EOFError):
                if done := attempt():
                    return done
            time.sleep(STEP)
        raise Stuck(f"waited in vain for {what}")

    def _send(self, letter: Letter, verbs: list[str], pipelined: bool) -> str | None:
        with socket.create_connection(("127.0.0.1", self.world.smtp), PATIENCE) as connection:
            answers = connection.makefile("rb")

            def say(*lines: str) -> bool:
                connection.sendall("".join(f"{line}\r\n" for line in lines).encode())
                return all(hear()[:1] in b"23" for _ in lines)

            def hear() -> bytes:
                while (line := answers.readline())[3:4] == b"-":
                    pass
                if not line:
                    raise EOFError
                return line

            hear()
            if not say("EHLO client.example"):
                return None
            if not (say(*verbs) if pipelined else all(say(verb) for verb in verbs)):
                return None
            letter.sent += 1
            connection.sendall(letter.wire)
            answer = hear()
            if not pipelined:
                connection.sendall(b"QUIT\r\n")
            return answer.split()[-1].decode() if answer.startswith(b"250") else None

    def send_by_qmtp(self, letter: Letter, *recipients: str) -> str:
        """By QMTP, until K."""
        encoded = b"".join(netstring.encode(to.encode()) for to in recipients)
        package = [b"\n" + letter.content, EVE.encode(), encoded]

        def attempt() -> str | None:
            with socket.create_connection(("127.0.0.1", self.world.qmtp), PATIENCE) as connection:
                connection.sendall(b"".join(map(netstring.encode, package)))
                return "ok" if connection.recv(1000).partition(b":")[2][:1] == b"K" else None

        return self._again(attempt, "K by QMTP")

    def hang_up(self) -> None:
        """By POP3 all mail is marked for removal, and QUIT is never said."""

        def attempt() -> str:
            with Reader(self.world.pop3, PATIENCE) as reader:
                reader.log_in()
                for line in reader.say("LIST", lines=True):
                    reader.say(f"DELE {int(line.split()[0])}")
                reader.hang_up()
                return "done"

        self._again(attempt, "a session by POP3")

    def fetch(self, unwanted: Letter) -> None:
        """All mail by POP3, until QUIT is answered; one message is removed then, and nothing before."""
        letters, quitting = self.letters, False

        def attempt() -> str:
            nonlocal quitting
            if not quitting and (gone := letters.missing()):
                raise Stuck(f"gone before QUIT: {', '.join(map(str, gone))}")
            with Reader(self.world.pop3, PATIENCE) as reader:
                reader.log_in()
                for number, uid in (line.decode().split() for line in reader.say("UIDL", lines=True)):
                    if uid not in letters.fetched:
                        letters.fetched[uid] = b"".join(reader.say(f"RETR {number}", lines=True))
                    if unwanted.token.encode() in letters.fetched[uid]:
                        reader.say(f"DELE {number}")
                quitting = True
                reader.say("QUIT")
                return "done"

        self._again(attempt, "a goodbye by POP3")

    def run(self, command: str, words: list[str], *inputs: bytes) -> None:
        """A command of this machine's users, until its exit status is 0."""
        files = []
        for number, data in enumerate(inputs):
            files.append(self.world.folder / f"input{number}")
            files[-1].write_bytes(data)
        self._again(lambda: "ok" if self.world.run(command, words, files) == 0 else None, f"{command} to succeed")

    # -- the postmaster

    def queue(self, verb: str, **more: str) -> list:
        """A queue command, until it is answered."""
        answers: list[list] = []

        def attempt() -> str | None:
            answer = self.world.admin(verb, **more)
            answers.append(answer or [])
            return None if answer is None else "answered"

        self._again(attempt, f"an answer to {verb}")
        return answers[-1]

    def put_off(self, message: str) -> None:
        """Wait until the log says that a recipient of it is tried again later."""
        ids = lambda: [event["message"] for event in self.world.events("deferred")]  # noqa: E731
        self.world.until(lambda: message in ids(), "a deferral", or_killed=True)

    def told(self, how: str) -> None:
        """Wait until all senders have got their bounces, or notices."""
        missing = lambda: [item for item in self.letters.missing() if item.what.startswith(how)]  # noqa: E731
        self.world.until(lambda: not missing(), f"a {how}", or_killed=True)

    # -- programs

    def stop(self, program: str) -> None:
        """End a program for good; the armed kill is not meant."""
        world = self.world
        world.wanted.discard(program)
        pid = world.pids[program]
        world.kill(program)
        world.until(lambda: not _alive(pid), f"{program}'s end")

    def start(self, program: str) -> None:
        self.world.wanted.add(program)
        self.world.start(program)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
