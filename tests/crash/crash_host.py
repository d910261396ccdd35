"""The next host: takes, puts off or refuses recipients by their names, and keeps what it took."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import BinaryIO

from appliance import netstring

Taken = tuple[str, bytes]  # recipient's local part, content with LF
TAKEN, NOT_NOW, NOBODY = b"250 ok", b"450 4.2.0 not now", b"550 5.1.1 nobody of that name"
_LETTERS = {TAKEN: b"K", NOT_NOW: b"Z", NOBODY: b"D"}  # the same by QMTP
_LARGEST = 1 << 26


class NextHost:
    """Servers for SMTP and for QMTP, each on a port of its own.

    A recipient `never…` is refused for good, `later…` is put off once, `late…` until `is_told` says that the sender of this
    recipient's mail was told all there is to tell, everybody else is taken.
    """

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.is_told: Callable[[str], bool] = lambda _: True
        self._put_off: set[str] = set()
        self._listeners: list[socket.socket] = []
        self.port, self.qmtp = self._open(self._talk), self._open(self._talk_qmtp)

    def close(self) -> None:
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _open(self, talk: Callable[[BinaryIO], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        self._listeners.append(listener)
        threading.Thread(target=self._accept, args=(listener, talk), daemon=True).start()
        return int(listener.getsockname()[1])

    def _accept(self, listener: socket.socket, talk: Callable[[BinaryIO], None]) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._serve, args=(connection, talk), daemon=True).start()

    def _serve(self, connection: socket.socket, talk: Callable[[BinaryIO], None]) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rwb") as file:
            talk(file)

    def _judge(self, recipient: str) -> bytes:
        if recipient.startswith("never"):
            return NOBODY
        if recipient.startswith("later") and recipient not in self._put_off:
            self._put_off.add(recipient)
            return NOT_NOW
        if recipient.startswith("late.") and not self.is_told(recipient):
            return NOT_NOW
        return TAKEN

    def _talk_qmtp(self, file: BinaryIO) -> None:
        decoder, frames = netstring.Decoder(_LARGEST), []
        while data := file.read1(1 << 16):
            frames += decoder.feed(data)
            while len(frames) >= 3:
                content, _, recipients = frames[:3]
                del frames[:3]
                names = [to.rpartition(b"@")[0].decode() for to in netstring.Decoder(_LARGEST).feed(recipients)]
                answers = [self._judge(name) for name in names]
                self.taken += [(name, content[1:]) for name, said in zip(names, answers, strict=True) if said == TAKEN]
                file.write(b"".join(netstring.encode(_LETTERS[said] + said[3:]) for said in answers))
                file.flush()

    def _talk(self, file: BinaryIO) -> None:
        def say(line: bytes) -> None:
            file.write(line + b"\r\n")
            file.flush()

        say(b"220 partner.example")
        recipients: list[str] = []
        for line in file:
            verb = line[:4].upper()
            if verb == b"EHLO":
                say(b"250-partner.example\r\n250 PIPELINING")
                continue
            if verb == b"MAIL":
                recipients = []
            if verb == b"RCPT":
                name = line[line.index(b"<") + 1 : line.rindex(b"@")].decode()
                answer = self._judge(name)
                recipients += [name] if answer[:1] == b"2" else []
                say(answer)
            elif verb == b"DATA":
                if not recipients:
                    say(b"554 5.5.1 no valid recipients")
                    continue
                say(b"354 go ahead")
                content = b""
                while not content.endswith(b"\r\n.\r\n"):
                    more = file.readline()
                    if not more:
                        return
                    content += more
                content = content[:-3].replace(b"\r\n.", b"\r\n").replace(b"\r\n", b"\n")
                self.taken += [(name, content) for name in recipients]
                say(b"250 ok")
            else:
                say(b"221 bye" if verb == b"QUIT" else b"250 ok")
                if verb == b"QUIT":
                    return
