"""docs/qmail-parity.md is complete and true: every program, control file, variable and trap of qmail has a row and a test."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "qmail-parity.md"

PROGRAMS = """
qmail-start qmail-send qmail-lspawn qmail-rspawn qmail-remote qmail-local qmail-clean qmail-getpw qmail-queue qmail-smtpd qmail-qmtpd
qmail-qmqpd qmail-qmqpc qmail-inject qmail-popup qmail-pop3d qmail-newu qmail-newmrh qmail-pw2u qmail-showctl qmail-qread qmail-qstat
qmail-tcpto qmail-tcpok qmail-upq sendmail mailq newaliases mailsubj predate datemail forward bouncesaying condredirect except preline
qreceipt qbiff maildirmake maildir2mbox splogger tcp-env config-fast checkpassword elq pinq qail qsmhook maildirwatch
"""
CONTROL = """
me badmailfrom bouncefrom bouncehost concurrencylocal concurrencyremote databytes defaultdomain defaulthost doublebouncehost
doublebounceto envnoathost helohost idhost localiphost locals morercpthosts percenthack plusdomain qmqpservers queuelifetime
rcpthosts smtpgreeting smtproutes timeoutconnect timeoutremote timeoutsmtpd virtualdomains
users/assign users/cdb users/include users/exclude users/mailnames users/subusers users/append
"""
VARIABLES = """
SENDER NEWSENDER RECIPIENT LOCAL HOST USER HOME EXT EXT2 EXT3 EXT4 HOST2 HOST3 HOST4 DEFAULT DTLINE RPLINE UFLINE
TCPREMOTEIP TCPREMOTEHOST TCPLOCALHOST TCPLOCALIP TCPREMOTEINFO RELAYCLIENT DATABYTES QMAILQUEUE QMAILREMOTE
QMAILUSER MAILUSER LOGNAME QMAILHOST MAILHOST QMAILNAME MAILNAME NAME QMAILSUSER QMAILSHOST QMAILDEFAULTDOMAIN QMAILDEFAULTHOST
QMAILPLUSDOMAIN QMAILIDHOST QMAILMFTFILE QMAILINJECT MAILDIR MAIL MAILTMP
"""
STATES = ("same", "safer", "declined", "other")
DECLINED = ("declined",)  # needs a reason instead of a test


def rows() -> list[tuple[str, str, str]]:
    """Subject, state and tests of every row."""
    found = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 3 and cells[1] not in ("state", "---"):
            found.append((cells[0], cells[1], cells[2]))
    return found


def existing() -> set[str]:
    """`tests/…/file.py::test_name` of every test in the tree."""
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.add(f"{path.relative_to(ROOT)}::{node.name}")
    return found


def named(cell: str) -> list[str]:
    """The tests of a cell; `::name` belongs to the file before it."""
    found, file = [], ""
    for word in re.findall(r"(tests/[\w/]+\.py)?::(test_\w+)", cell):
        file = word[0] or file
        found.append(f"{file}::{word[1]}")
    return found


def test_every_program_control_file_and_variable_has_a_row() -> None:
    """A postmaster of a qmail machine finds what they use."""
    subjects = " ".join(subject for subject, _, _ in rows())
    for name in (PROGRAMS + CONTROL + VARIABLES).split():
        assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", subjects), name


def test_every_row_says_how_it_stands_and_what_shows_it() -> None:
    """Same, safer or other with a test that exists; declined with a reason."""
    here = existing()
    for subject, state, cell in rows():
        word = state.split(":")[0].split(";")[0].strip()
        assert word in STATES, (subject, state)
        shown = named(cell)
        if word in DECLINED:
            assert ":" in state, f"{subject}: declined, and why?"
        else:
            assert shown, f"{subject}: no test"
        for test in shown:
            assert test in here, f"{subject}: there is no {test}"


def test_the_page_follows_the_contracts() -> None:
    """Fifteen sections, from the traps to the patches."""
    assert re.findall(r"^## (\d+) ", PAGE.read_text(), re.MULTILINE) == [str(number) for number in range(15)]


def test_every_dialogue_that_a_row_names_is_there() -> None:
    """`test_dialogue[x]` is a file."""
    for name in re.findall(r"test_dialogue\[(\w+)\]", "".join(cell for _, _, cell in rows())):
        assert (ROOT / "tests" / "smtpd" / "dialogues" / f"{name}.txt").exists(), name


def test_every_trap_has_a_test_by_its_name() -> None:
    """The 36 things that re-implementers of qmail get wrong."""
    names = {test.partition("::")[2] for test in existing()}
    for number in range(1, 37):
        assert any(name.startswith(f"test_trap_{number:02}_") for name in names), f"trap {number}"
