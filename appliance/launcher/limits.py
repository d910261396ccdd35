"""How much a program may use, and which mailboxes' programs may use the network: from the control files.

`local` reads mail of strangers, so it is not asked.
"""

from dataclasses import dataclass

from appliance.control import Generation

_MEBI = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one delivery, with all that its program starts.

    time       seconds, of the clock and of each process's processor time
    memory     bytes, of each process and of all together
    processes  at the same time
    file_size  bytes of each file that is written
    """

    time: int = 300
    memory: int = 512 * _MEBI
    processes: int = 64
    file_size: int = 512 * _MEBI

    @classmethod
    def of(cls, generation: Generation) -> "Limits":
        """Those of a generation; a number that is none counts as left out. Raises OSError."""
        asked = generation.mapping("programlimits")
        names = ("time", "memory", "processes", "file_size")
        return cls(**{name: int(asked[name.encode()]) for name in names if asked.get(name.encode(), b"").isdigit()})


def networked(generation: Generation) -> frozenset[bytes]:
    """The homes, as users/assign names them, whose programs may connect to other hosts. Raises OSError."""
    return frozenset(home.rstrip(b"/") for home in generation.lines("programnetwork") or ())
