"""A disk in memory whose flush takes as long as one likes: a file that a loop device can lie on.

Runs as a program of its own (`python -I -S delayed_flush.py FILE BYTES DELAY`) and imports nothing else of the benchmark.
It is a FUSE server for that one file.  Reads and writes never reach it: the kernel passes them on to a file in memory
(FUSE passthrough, Linux 6.9).  Only fsync does, which is what a loop device makes of its disk's flush: it sleeps
for the seconds that stand in the file DELAY, and nothing else.
"""

import ctypes
import errno
import fcntl
import os
import struct
import sys
import time

_GETATTR, _OPEN, _STATFS, _RELEASE, _FSYNC, _FLUSH, _INIT = 3, 14, 17, 18, 20, 25, 26
_FORGET, _INTERRUPT, _DESTROY, _BATCH_FORGET = 2, 36, 38, 42  # without an answer
_HEADER, _ANSWER = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ")
_INIT_OUT, _OPEN_OUT = struct.Struct("<IIIIHHIIHHII24x"), struct.Struct("<QIi")
_ATTR_OUT = struct.Struct("<QII6Q10I")
_INIT_EXT, _PASSTHROUGH, _OPEN_PASSTHROUGH = 1 << 30, 1 << 5, 1 << 7  # the second in flags2
_BACKING_OPEN = 0x4010E501  # ioctl on /dev/fuse: (file, flags, padding) becomes a number for the answer to OPEN
_BUFFER = 1 << 20
_libc = ctypes.CDLL(None, use_errno=True)


class Server:
    """Answers the kernel about one file of `size` bytes, mounted over `path`. Raises OSError if it can't be mounted."""

    def __init__(self, path: str, size: int, delay: str) -> None:
        self._content = os.memfd_create("disk", os.MFD_CLOEXEC)
        os.ftruncate(self._content, size)
        self._size = size
        self._delay = os.open(delay, os.O_RDONLY | os.O_CLOEXEC)
        self._fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        data = f"fd={self._fuse},rootmode=100600,user_id=0,group_id=0".encode()
        if _libc.mount(b"slow-disk", os.fsencode(path), b"fuse", 0, data) < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"mount on {path}: {os.strerror(number)}")

    def serve(self) -> None:
        """Until it is unmounted."""
        while True:
            try:
                request = os.read(self._fuse, _BUFFER)
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return
                if error.errno in (errno.ENOENT, errno.EINTR):  # a request was taken back
                    continue
                raise
            _, operation, unique, *_ = _HEADER.unpack_from(request)
            if operation in (_FORGET, _INTERRUPT, _DESTROY, _BATCH_FORGET):
                continue
            try:
                answer, error_number = self._answer(operation), 0
            except OSError as error:
                answer, error_number = b"", -(error.errno or errno.EIO)
            os.write(self._fuse, _ANSWER.pack(_ANSWER.size + len(answer), error_number, unique) + answer)

    def _answer(self, operation: int) -> bytes:
        if operation == _INIT:
            return _INIT_OUT.pack(7, 40, 1 << 20, _INIT_EXT, 64, 48, 1 << 17, 1, 0, 0, _PASSTHROUGH, 1)
        if operation == _GETATTR:
            mode = 0o100600
            return _ATTR_OUT.pack(
                3600, 0, 0, 1, self._size, self._size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0
            )
        if operation == _OPEN:
            backing = fcntl.ioctl(self._fuse, _BACKING_OPEN, bytearray(struct.pack("<iIQ", self._content, 0, 0)))
            return _OPEN_OUT.pack(0, _OPEN_PASSTHROUGH, backing)
        if operation == _FSYNC:
            time.sleep(float(os.pread(self._delay, 32, 0)))
            return b""
        if operation in (_RELEASE, _FLUSH):
            return b""
        raise OSError(errno.ENOSYS, "not needed")


if __name__ == "__main__":
    Server(sys.argv[1], int(sys.argv[2]), sys.argv[3]).serve()
