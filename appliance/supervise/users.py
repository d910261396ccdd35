"""One user for each program (`hardening: {users: BASE}`): the kernel keeps them apart by their uids, too.

Only root can do that, so the supervisor stays root, reads nothing from outside, and forks each program into a user of
its own: BASE and the number below, with a group of the same number.  BASE itself is the group of all of them, who
alone come into the state folder; two more groups have those that share mailboxes, and those that put doors into run/.
"""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from appliance import door
from appliance.config.activate import link_for_people
from appliance.state import State

# never changed, for files on disk belong to them
NUMBERS = {"queue": 1, "launcher": 2, "local": 3, "remote": 4, "smtpd": 5, "pop3d": 6, "qmtpd": 7, "config": 8}
ALL, MAIL, DOORS = 0, 21, 22
MEMBERS = {"queue": (DOORS,), "launcher": (DOORS, MAIL), "local": (MAIL,), "pop3d": (MAIL,)}
MASKS = {"config": 0o022}  # everybody who comes into the state folder may read the configuration
ROOT = None

# what a role's token opens, by who reads it: the program that says it, and the one that is told
TOKENS: dict[str, tuple[str | None, str]] = {
    **{role: (role, "queue") for role in ("smtpd", "qmtpd", "local", "remote")},
    "inject": ("launcher", "queue"),  # by mailboxes' programs, which are the launcher's; and by root
    "admin": (ROOT, "queue"),
    "programs": ("local", "launcher"),
}


class Users(NamedTuple):
    """The users from BASE on."""

    base: int

    def become(self, program: str) -> None:
        """Be that program's user from here on, with its groups and no right of root's. Raises OSError."""
        number = self.base + NUMBERS[program]
        os.setgroups([self.base + ALL, *(self.base + group for group in MEMBERS.get(program, ()))])
        os.setresgid(number, number, number)
        os.setresuid(number, number, number)
        os.umask(MASKS.get(program, 0o077))

    def share(self, state: State) -> None:
        """Give each folder of the state folder to those who use it; what belonged to others before, too. Raises OSError."""
        os.setgroups([self.base + group for group in (ALL, MAIL, DOORS, *NUMBERS.values())])  # chmod(2) asks for that
        for path, owner, group, mode in (
            (state.root, ROOT, ALL, 0o750),
            (state.run, ROOT, DOORS, 0o1771),
            (state.tokens, ROOT, ALL, 0o710),
            (state.scratch, "launcher", NUMBERS["launcher"], 0o700),
            (state.generations, "config", ALL, 0o2755),
            (state.secrets, "config", NUMBERS["pop3d"], 0o2750),
            (state.queue, "queue", NUMBERS["queue"], 0o700),
            (state.mail, "local", MAIL, 0o2770),
        ):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            uid, gid = self._uid(owner), self.base + group
            if path.stat().st_uid != uid:
                if path in (state.generations, state.secrets):  # made again at once
                    shutil.rmtree(path)
                    path.mkdir(mode=0o700)
                elif path == state.mail:
                    _hand_over(path, uid, gid, shared=True)
            if path == state.queue:  # at each start, for `paperpath queue recover` and its like are root's
                _hand_over(path, uid, gid, shared=False)
            os.chown(path, uid, gid)
            path.chmod(mode)  # after chown, which takes the set-group-ID bit away
        for name in ("control", "users"):
            link_for_people(state, name)

    def hand_out(self, state: State) -> None:
        """Each role's token to the two programs that need it. Raises OSError."""
        for role in door.ROLES:
            owner, told = TOKENS[role]
            os.chown(state.tokens / role, self._uid(owner), self.base + NUMBERS[told])
            (state.tokens / role).chmod(0o440)

    def _uid(self, program: str | None) -> int:
        return 0 if program is ROOT else self.base + NUMBERS[program]


def _hand_over(top: Path, uid: int, gid: int, *, shared: bool) -> None:
    """All below; shared: its group may do what its owner may."""
    for folder, names, files in os.walk(top):
        for name in (*names, *files):
            path = os.path.join(folder, name)
            if os.lstat(path).st_uid != uid:
                os.chown(path, uid, gid, follow_symlinks=False)
            if shared and not os.path.islink(path):
                mode = os.stat(path).st_mode & 0o7777
                os.chmod(path, mode | (mode & 0o700) >> 3 | (0o2000 if name in names else 0))
