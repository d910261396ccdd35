"""Passwords and their hashes: is this the password, and what is the hash of that one?

argon2id (RFC 9106) by argon2-cffi; the hashes of /etc/shadow ($6$, $5$, $2b$, $y$ and kin) by the
system's libcrypt (libxcrypt), for Python 3.13 has no crypt any more.  Both give the interpreter's lock back while
they work, so that threads can hash beside an event loop.  Nothing is loaded before the first password.

Cost of a new hash: 19 MiB, three passes, one lane; 40 ms of a core of 2020.  What costs much more than that is refused
where a configuration is read: each log-in of anybody would cost it.
"""

import ctypes
import functools
import hmac
import re
from hashlib import md5

LONGEST = 1024  # bytes of a password

_MEMORY, _PASSES, _LANES = 19 * 1024, 3, 1  # KiB; OWASP's least is two passes
_CRYPT_DATA = 32768  # sizeof(struct crypt_data), crypt(3) of libxcrypt

_ARGON2 = re.compile(r"\$argon2(id|i|d)\$v=19\$m=([0-9]{1,6}),t=[0-9]{1,2},p=[0-9]{1,2}(\$[A-Za-z0-9+/]{11,86}){2}\Z")
_MD5 = re.compile(rb"[0-9A-Fa-f]{32}\Z")
_ARGON2_MEMORY = 256 * 1024  # KiB that one log-in may take
# crypt(5): what libxcrypt verifies and today still calls strong, and the cost that it may have
_CRYPT = re.compile(
    r"""\$(?:
      2[aby]\$(?:0[4-9]|1[0-5])\$[./A-Za-z0-9]{53}
    | 5\$(?:rounds=[1-9][0-9]{3,6}\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{43}
    | 6\$(?:rounds=[1-9][0-9]{3,6}\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{86}
    | g?y\$[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{0,86}\$[./A-Za-z0-9]{43}
    | 7\$[./A-Za-z0-9]{11,97}\$[./A-Za-z0-9]{43}
    )\Z""",
    re.VERBOSE,
)


def is_hash(text: str) -> bool:
    """Is this the hash of a password, of a kind that `verify` knows and a cost that a log-in may have?"""
    found = _ARGON2.match(text)
    return int(found[2]) <= _ARGON2_MEMORY if found else bool(_CRYPT.match(text))


def verify(stored: str, given: bytes) -> bool:
    """Does the password belong to the hash?  Takes as long as the hash wants.

    Raises ValueError for what is no hash, OSError if this system can't compute it.
    """
    if not is_hash(stored):
        raise ValueError("not a hash of a kind that can be verified")
    if not given or len(given) > LONGEST or b"\0" in given:  # C would compare what is before the NUL
        given, stored = b"\0", stranger()  # an answer of the same duration
    if stored.startswith("$argon2"):
        return _argon2(stored, given)
    return hmac.compare_digest(_crypt(stored, given), stored.encode())


def make(given: bytes) -> str:
    """A new hash. Raises ValueError for a password that no client could send."""
    if not given or len(given) > LONGEST or any(byte in given for byte in b"\0\r\n"):
        raise ValueError(f"a password has 1 to {LONGEST} bytes and no line ends")
    from argon2 import PasswordHasher  # noqa: PLC0415  # see above

    return PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY, parallelism=_LANES).hash(given)


@functools.cache
def stranger() -> str:
    """A hash to compare with where there is no account, so that its absence takes as long as a wrong password."""
    return make(b"nobody")


def is_apop(secret: bytes, challenge: bytes, digest: bytes) -> bool:
    """Is this the digest of an APOP command (RFC 1939 section 7): MD5 over challenge and shared secret?"""
    expected = md5(challenge + secret, usedforsecurity=False).hexdigest().encode()
    return hmac.compare_digest(expected, digest.lower())


def is_digest(text: bytes) -> bool:
    """Has it the form of APOP's digest?"""
    return bool(_MD5.match(text))


def _argon2(stored: str, given: bytes) -> bool:
    from argon2.exceptions import VerificationError, VerifyMismatchError  # noqa: PLC0415  # see above
    from argon2.low_level import Type, verify_secret  # noqa: PLC0415

    kinds = {"$argon2id": Type.ID, "$argon2i": Type.I, "$argon2d": Type.D}
    try:
        return verify_secret(stored.encode(), given, kinds[stored[: stored.index("$", 1)]])
    except VerifyMismatchError:
        return False
    except VerificationError as error:  # memory that is not there, parameters that contradict each other
        raise OSError(f"argon2: {error}") from error


def _crypt(stored: str, given: bytes) -> bytes:
    """The password hashed as the stored hash was; b"" if libcrypt has something against it. Raises OSError."""
    room = ctypes.create_string_buffer(_CRYPT_DATA)
    return _libcrypt().crypt_rn(given, stored.encode(), room, _CRYPT_DATA) or b""


@functools.cache
def _libcrypt() -> ctypes.CDLL:
    for name in ("libcrypt.so.1", "libcrypt.so.2"):  # Debian's and Fedora's; a search would start a compiler
        try:
            library = ctypes.CDLL(name)
            library.crypt_rn.restype = ctypes.c_char_p
            library.crypt_rn.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int)
        except (OSError, AttributeError):
            continue
        return library
    raise OSError("no libcrypt (libxcrypt) on this system")
