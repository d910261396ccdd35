"""One message in an SMTP dialogue, and what was answered about it."""

from appliance.reply import Reply


class Transaction:
    """One message on its way to some recipients, and what the peer said about it.

    body      as on the wire (`data.encode`), or None: it is streamed when `Client.stream` asks
    cause     why the transaction ended without the reply it waited for
    dot_sent  the peer may have the message
    """

    __slots__ = (
        *("accepted", "body", "cause", "data", "dot_sent", "eight_bit"),
        *("final", "mail", "rcpts", "recipients", "sender", "size"),
    )

    def __init__(
        self, sender: bytes, recipients: tuple[bytes, ...], body: bytes | None, size: int, *, eight_bit: bool
    ) -> None:
        self.sender = sender
        self.recipients = recipients
        self.body = body
        self.size = size
        self.eight_bit = eight_bit
        self.mail: Reply | None = None
        self.rcpts: list[Reply] = []
        self.accepted = 0
        self.data: Reply | None = None
        self.final: Reply | None = None
        self.dot_sent = False
        self.cause: str | None = None
