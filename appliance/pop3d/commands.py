"""What a command line says (RFC 1939 section 3, RFC 2449 section 4).  Pure."""

LINE = 1024  # bytes of a line with its end; RFC 2449 asks for 255, a password may need more

_DIGITS = frozenset(b"0123456789")


class Refusal(Exception):
    """A `-ERR` answer; the text follows it on the line."""

    @property
    def reply(self) -> bytes:
        return b"-ERR %b\r\n" % str(self).encode("ascii", "replace")


def parse(line: bytes) -> tuple[bytes, bytes]:
    """The verb in upper case and the rest behind its blank, byte for byte. Raises Refusal.

    line: with its LF, before which there may be a CR.
    """
    text = line.removesuffix(b"\n").removesuffix(b"\r")
    if b"\r" in text or b"\n" in text or b"\0" in text:
        raise Refusal("a command holds no CR, LF or NUL")
    verb, _, rest = text.partition(b" ")
    return verb.upper(), rest


def number(text: bytes, what: str = "a message number") -> int:
    """A decimal number. Raises Refusal."""
    if not text or len(text) > 10 or not _DIGITS.issuperset(text):
        raise Refusal(f"{what} is needed")
    return int(text)


def numbers(rest: bytes, at_most: int) -> list[int]:
    """The numbers of a command. Raises Refusal if there are more, or something else."""
    words = rest.split()
    if len(words) > at_most:
        raise Refusal("too many arguments")
    return [number(word, "a number") for word in words]


def nothing(rest: bytes) -> None:
    """Raises Refusal for a command whose argument makes no sense."""
    if rest.strip():
        raise Refusal("this command has no argument")
