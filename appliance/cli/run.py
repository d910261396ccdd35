"""`paperpath run`: check the YAML, bring it into force, keep the programs running."""

import argparse
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

from appliance import calls, log, sandbox
from appliance.cli import state_option
from appliance.control import Control
from appliance.state import State
from appliance.supervise import owner
from appliance.supervise.main import AlreadyRunning, own, preload, supervise, yaml_link
from appliance.supervise.ports import taken
from appliance.supervise.users import Users

HELP = "Run the whole appliance in the foreground. SIGTERM or Ctrl-C stops it; SIGHUP looks at the YAML file now; SIGALRM tries all mail that waits."
NOT = 1  # exit status: it could not be started
WRONG = 2  # exit status: a mistake in the YAML file or its name


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=Path("/etc/paperpath/mail.yaml"),
        help="the YAML file (default: %(default)s)",
    )
    state_option(parser, "the state folder, made if it is missing")


def run(args: argparse.Namespace) -> int:
    log.setup("supervise")
    signal.signal(signal.SIGTERM, _end)  # process 1 has no default action
    os.umask(0o077)  # mail and its settings are nobody else's business
    config = Path(os.path.abspath(args.config))  # its links stay links: they are watched
    state = State(args.state.resolve())
    try:
        config.stat()  # before a state folder is made, which would be root's and make each later start root's, too
    except OSError as cause:
        print(f"{config}: can't be read: {cause.strerror}", file=sys.stderr)
        return WRONG
    try:
        status, users = _users(config)
        if users is None and not status:
            owner.settle(state.root, config)
        if status:
            return status
        lock = own(state)
        if users is not None:
            users.share(state)
            if why := owner.obstacle(lambda: users.become("config"), state.root, config):
                raise owner.Refused(f"hardening.users: {why}; mend that")
        status = _bring_into_force(config, state, users)
        return status or _insist(state, users) or _ports(state) or supervise(state, lock, users=users)
    except (owner.Refused, AlreadyRunning) as refusal:
        print(f"paperpath run: {refusal}", file=sys.stderr)
    except OSError as cause:
        print(f"paperpath run: could not start: {cause}", file=sys.stderr)
    return NOT


def _users(config: Path) -> tuple[int, Users | None]:
    """The users that a root's configuration asks for, read by a child; or the exit status that its mistakes deserve."""
    if os.geteuid() != 0 or not config.is_file():
        return 0, None
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        from appliance.config.pipeline import ConfigError, read  # noqa: PLC0415  # only the child needs it

        status = NOT
        try:
            os.write(tell, b"%d" % dict(read(config).hardening)["users"])
            status = 0
        except ConfigError as error:
            print(*error.problems, sep="\n", file=sys.stderr, flush=True)
            status = WRONG
        except OSError as cause:
            print(f"paperpath run: {config} can't be read: {cause}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    os.close(tell)
    with open(told, "rb") as answer:
        base = int(answer.read() or b"0")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return (NOT if status < 0 else status), Users(base) if base else None


def _bring_into_force(config: Path, state: State, users: Users | None) -> int:
    """Check, compile and activate in a child, whose libraries nobody needs later; meanwhile import the programs'."""
    link = yaml_link(state)
    link.unlink(missing_ok=True)
    link.symlink_to(config)
    pid = os.fork()
    if pid == 0:
        status = NOT
        try:
            if users is not None:
                users.become("config")
            status = _apply(config, state)
        except Exception:  # noqa: BLE001  # this is the process's last frame: nothing else would report it
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    preload()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status if status >= 0 else NOT


def _apply(config: Path, state: State) -> int:
    from appliance.config.apply import REFUSED, apply  # noqa: PLC0415  # only the child needs it
    from appliance.config.pipeline import ConfigError  # noqa: PLC0415
    from appliance.config.watch import routing_tables  # noqa: PLC0415

    try:
        apply(config, state, routing_tables())
    except ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return REFUSED
    except OSError as cause:
        print(f"paperpath run: {config} could not be brought into force: {cause}", file=sys.stderr)
        return NOT
    return 0


def _insist(state: State, users: Users | None) -> int:
    """`hardening: {required: true}`: rather not run than run with less than the sandbox promises."""
    asked = Control(state).current().mapping("hardening")
    if asked.get(b"required") != b"1":
        return 0
    lacking = [*sandbox.missing(sandbox.kernel_abi()), *calls.missing()]
    if os.geteuid() == 0 and users is None:
        lacking.append("it would run as root")
    if users is None and asked.get(b"users", b"0") != b"0":
        lacking.append("only root can give each program a user of its own")
    for sentence in lacking:
        print(f"paperpath run: hardening.required: {sentence}", file=sys.stderr)
    return NOT if lacking else 0


def _ports(state: State) -> int:
    lacking = taken(Control(state).current())
    for sentence in lacking:
        print(f"paperpath run: {sentence}", file=sys.stderr)
    return NOT if lacking else 0


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # a signal handler's signature
    sys.exit(128 + number)
