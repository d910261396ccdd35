"""The next host: takes, puts off or refuses recipients by their names, and keeps what it took."""

import socket
import threading

Taken = tuple[str, bytes]  # recipient's local part, content with LF


class NextHost:
    """An SMTP server on a port of its own.

    A recipient `never…` is refused for good, `later…` is put off once, everybody else is taken.
    """

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self._put_off: set[str] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rwb") as file:
                self._talk(file)
        except OSError:
            return

    def _judge(self, recipient: str) -> bytes:
        if recipient.startswith("never"):
            return b"550 5.1.1 nobody of that name"
        if recipient.startswith("later") and recipient not in self._put_off:
            self._put_off.add(recipient)
            return b"450 4.2.0 not now"
        return b"250 ok"

    def _talk(self, file) -> None:
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
