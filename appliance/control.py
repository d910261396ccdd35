"""The only way a running program reads its configuration: qmail's control files.

Four readers, by qmail's rules: `line`, `integer`, `lines`, `mapping`.  A file that exists
but is empty is not missing.  A `Generation` is one consistent set of files; programs ask
`current()` again before each session or attempt, which costs one readlink.
"""

import os
import re
from pathlib import Path
from typing import overload

from appliance import log
from appliance.state import State

_DIGITS = re.compile(rb"[0-9]+")


class Generation:
    """One compiled configuration, immutable: its folder, its name (the hash), its control files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self._files: dict[str, bytes | None] = {}

    def read(self, name: str) -> bytes | None:
        """The bytes of a control file; None if there is none. Raises OSError if it can't be read."""
        if name not in self._files:
            try:
                self._files[name] = (self.folder / "control" / name).read_bytes()
            except FileNotFoundError:
                self._files[name] = None
        return self._files[name]

    @overload
    def line(self, name: str) -> bytes | None: ...
    @overload
    def line(self, name: str, default: bytes) -> bytes: ...
    def line(self, name: str, default: bytes | None = None) -> bytes | None:
        """The first line, without blanks at its end."""
        data = self.read(name)
        return default if data is None else data.split(b"\n", 1)[0].rstrip(b" \t\n")

    def integer(self, name: str, default: int) -> int:
        """The digits that begin the first line; the default if there are none."""
        found = _DIGITS.match(self.line(name, b""))
        return int(found[0]) if found else default

    def lines(self, name: str) -> list[bytes] | None:
        """Every line that is neither empty nor a comment; None if the file is missing."""
        data = self.read(name)
        if data is None:
            return None
        stripped = (line.rstrip(b" \t") for line in data.split(b"\n"))
        return [line for line in stripped if line and not line.startswith(b"#")]

    def mapping(self, name: str) -> dict[bytes, bytes]:
        """`key:value` lines, cut at the first colon, keys in lower case; the last duplicate wins."""
        pairs = (line.partition(b":") for line in self.lines(name) or ())
        return {key.lower(): value for key, colon, value in pairs if colon}

    def processes(self, program: str) -> int:
        """How many processes of a program are asked for; a number that is none counts as 1."""
        asked = self.mapping("processes").get(program.encode(), b"")
        return int(asked) if asked.isdigit() else 1

    @property
    def secrets(self) -> Path:
        """The folder of the generation's secret part, which is there if it has one."""
        return self.folder.parent.parent / "secrets" / self.name

    @property
    def me(self) -> bytes:
        """The host's name. Raises LookupError: nothing can run without it."""
        name = self.line("me")
        if not name:
            raise LookupError(f"control/me is missing or empty in {self.folder}")
        return name


class Control:
    """The active generation of a state folder, followed as it changes."""

    def __init__(self, state: State) -> None:
        self._link = str(state.generation)
        self._folder = state.generations
        self._target = ""
        self._generation: Generation | None = None

    def current(self) -> Generation:
        """The active generation; the same object until another one is activated.

        Raises OSError if there is none yet.
        """
        target = os.readlink(self._link)
        if target != self._target or self._generation is None:
            generation = Generation(self._folder / target)
            log.follow(generation.mapping("log").get(b"format"))  # every program has its configuration from here
            self._generation, self._target = generation, target
        return self._generation
