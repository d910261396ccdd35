"""`sendmail`: the command that all the world's programs send mail with (contracts: sendmail wrapper).

Called as `mailq` it lists the queue, as `newaliases` it says that there is no aliases file.
"""

import os
import sys
from typing import NoReturn

from appliance import command
from appliance.inject import qmail_inject
from appliance.inject.settings import Environment

NAME = "sendmail"
USAGE = "usage: sendmail [-t] [-f sender] [-F name] [-bm|-bp|-bs] [--] [recipient ...]"

# -r is -f's older name; -N and -R ask for DSNs, -V -O -G -L -n -U tune sendmail's own: clients pass them, nothing is done
_OPTIONS = b"vimte:f:p:o:B:F:EJxb:r:N:R:V:O:L:GnU"
_PERSON = (b"QMAILNAME", b"MAILNAME", b"NAME", b"QMAILHOST", b"MAILHOST")


def main() -> int:
    """Do what the arguments ask; 0, 100 (never), 111 (not now)."""
    command.interruptible()
    called = os.path.basename(sys.argv[0])
    if called == "mailq":
        list_queue()
    if called == "newaliases":
        return no_aliases()
    return run([os.fsencode(word) for word in sys.argv[1:]], os.environb)


def mailq() -> int:
    """`mailq`: what waits; does not come back, qmail-qread takes over."""
    list_queue()


def no_aliases() -> int:
    """`newaliases`: aliases are in the YAML, and need no such command."""
    command.say("newaliases", "there is no aliases file: aliases are in the YAML and in force once it is saved")
    return command.PERMANENT


def run(words: list[bytes], environ: Environment) -> int:
    """The same as `main` for given words and variables."""
    try:
        chosen, recipients = command.options(words, _OPTIONS)
    except command.UsageError as error:
        return _usage(str(error))
    given = {"f" if letter == "r" else letter: value for letter, value in chosen}
    mode = given.get("b", b"m")[:1]
    if mode == b"p":
        list_queue()
    if mode == b"s":
        from appliance.inject import smtp  # noqa: PLC0415  # most calls do without it

        return smtp.serve(environ)
    if mode != b"m":
        return _usage(f"-b{given['b'].decode('ascii', 'replace')} is not done here")
    which = b"-H" if "t" in given else b"-a"
    sender = [b"-f", given["f"]] if "f" in given else []
    return qmail_inject.run([which, *sender, b"--", *recipients], person(environ, given), command.read())


def person(environ: Environment, given: dict[str, bytes]) -> Environment:
    """The variables for qmail-inject: who is named by -f wrote the mail, and by the name of -F."""
    variables = dict(environ)
    sender = given.get("f", b"")
    if "f" in given:
        for name in _PERSON:
            variables.pop(name, None)
    if sender not in (b"", b"<>"):
        user, at, host = sender.rpartition(b"@")
        variables[b"QMAILUSER"] = user if at else sender
        if at:
            variables[b"QMAILHOST"] = host
    if "F" in given:
        variables.pop(b"QMAILNAME", None)
        variables[b"MAILNAME"] = given["F"]
    return variables


def list_queue() -> NoReturn:
    """Become qmail-qread."""
    path = command.beside("qmail-qread")
    try:
        os.execvp(path, [path])  # noqa: S606  # no shell is wanted
    except OSError as error:
        command.die(command.TEMPORARY, NAME, f"cannot run qmail-qread: {error.strerror}")


def _usage(why: str) -> int:
    command.say(NAME, f"{why}; {USAGE}")
    return command.PERMANENT


if __name__ == "__main__":
    sys.exit(main())
