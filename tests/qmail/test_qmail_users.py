"""qmail-newu, qmail-newmrh, qmail-pw2u: as their users know them, byte for byte."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import cdb, users

BIN = Path(sys.executable).parent
ASSIGN = b"=joe:joe:507:100:/home/joe:::\n+joe-:joe:507:100:/home/joe:-::\n+:alias:7790:2108:/var/qmail/alias:-::\n.\n"


def run(command, tree, *options, text=b""):
    """The exit status and what was printed, in a tree such as /var/qmail."""
    done = subprocess.run(
        [BIN / command, *options],
        input=text,
        capture_output=True,
        check=False,
        env={"QMAILHOME": str(tree), "PATH": os.environ["PATH"]},
    )
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "users").mkdir()
    (tmp_path / "control").mkdir()
    return tmp_path


def test_newu_builds_the_database_in_one_step(tree):
    """users/cdb is what the look-up reads, and the temporary file is gone."""
    (tree / "users/assign").write_bytes(ASSIGN)
    assert run("qmail-newu", tree) == (0, b"", "")
    assert (tree / "users/cdb").read_bytes() == users.build(ASSIGN)
    assert (tree / "users/cdb").stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in (tree / "users").iterdir()) == ["assign", "cdb"]


@pytest.mark.parametrize(
    ("assign", "named"),
    [
        (ASSIGN[:-2], "single dot"),
        (ASSIGN + b"x", None),
        (b"=a:b\n" + ASSIGN, "line 1"),
        (b"=joe:joe:507:100:/home/joe:::\n\n.\n", "line 2"),
        (None, "assign: No such file"),
    ],
)
def test_newu_keeps_the_old_database_if_the_file_is_malformed(tree, assign, named):
    """Exit 111, the line is named, mail goes on by the old one."""
    (tree / "users/cdb").write_bytes(b"old")
    if assign is not None:
        (tree / "users/assign").write_bytes(assign)
    status, _, error = run("qmail-newu", tree)
    assert status == (111 if named else 0)
    assert (named or "") in error
    assert ((tree / "users/cdb").read_bytes() == b"old") is (named is not None)


def test_newu_leaves_a_compiled_generation_alone(tmp_path):
    """In the state folder there is nothing to do, unless somebody changed what nobody should."""
    folder = tmp_path / "generations/hash/users"
    folder.mkdir(parents=True)
    (folder / "assign").write_bytes(ASSIGN)
    (folder / "cdb").write_bytes(users.build(ASSIGN))
    (tmp_path / "users").symlink_to("generations/hash/users")
    assert run("qmail-newu", tmp_path)[0] == 0
    (folder / "assign").write_bytes(b"=new:n:1:1:mail/n:::\n" + ASSIGN)
    status, _, error = run("qmail-newu", tmp_path)
    assert (status, "compiled from the YAML" in error) == (111, True)
    assert (folder / "cdb").read_bytes() == users.build(ASSIGN)


def test_newmrh_builds_the_list_of_further_domains(tree):
    """Keys in small letters, no data; comments and empty lines are none."""
    (tree / "control/morercpthosts").write_bytes(b"A.example \n# no\n\n.b.Example\t\nlast.example")
    assert run("qmail-newmrh", tree) == (0, b"", "")
    expected = cdb.write([(b"a.example", b""), (b".b.example", b""), (b"last.example", b"")])
    assert (tree / "control/morercpthosts.cdb").read_bytes() == expected
    assert not (tree / "control/morercpthosts.tmp").exists()


def passwd(folder):
    """A password file: two people, the alias user, and lines that are skipped."""
    uid = os.getuid() or 1
    for name in ("joe", "sue", "alias"):
        (folder / name).mkdir()
        os.chown(folder / name, uid, -1)
    return (
        (
            f"root:x:0:0:root:{folder}:/bin/sh\n"
            f"joe:x:{uid}:100:Joe:{folder}/joe:/bin/sh\n"
            f"Sue:x:{uid}:100:capital:{folder}/sue:/bin/sh\n"
            f"sue:x:{uid}:100:Sue:{folder}/sue:/bin/sh\n"
            f"gone:x:{uid}:100::{folder}/gone:/bin/sh\n"
            f"other:x:{uid + 1}:100::{folder}/joe:/bin/sh\n"
            f"short:x:{uid}:100\n"
            f"alias:x:{uid}:200::{folder}/alias:/bin/true"
        ).encode(),
        f":{uid}:100:{folder}",
        f":{uid}:200:{folder}",
    )


def test_pw2u_writes_an_entry_and_a_wildcard_a_user(tree):
    """The alias user catches the rest; no root, no capitals, no home, no home of somebody else's."""
    text, people, alias = passwd(tree)
    status, printed, error = run("qmail-pw2u", tree, text=text)
    assert (status, error) == (0, "")
    assert printed.decode() == (
        f"=joe:joe{people}/joe:::\n+joe-:joe{people}/joe:-::\n"
        f"=sue:sue{people}/sue:::\n+sue-:sue{people}/sue:-::\n"
        f"+:alias{alias}/alias:-::\n=alias:alias{alias}/alias:::\n+alias-:alias{alias}/alias:-::\n.\n"
    )
    assert users.Users(users.build(printed)).find(b"joe-x").ext == b"x"


def test_pw2u_reads_its_helper_files(tree):
    """exclude, mailnames, subusers and append."""
    text, people, alias = passwd(tree)
    (tree / "users/exclude").write_text("# nobody\nSUE\n")
    (tree / "users/mailnames").write_text("joe:joe:Joe.Shmoe:\n")
    (tree / "users/subusers").write_text("jane:joe:jane:\nno colons\n")
    (tree / "users/append").write_text("=last:l:1:1:/l:::\n")
    printed = run("qmail-pw2u", tree, text=text)[1].decode()
    assert printed == (
        f"=joe:joe{people}/joe:::\n+joe-:joe{people}/joe:-::\n"
        f"=Joe.Shmoe:joe{people}/joe:::\n+Joe.Shmoe-:joe{people}/joe:-::\n"
        f"+:alias{alias}/alias:-::\n=alias:alias{alias}/alias:::\n+alias-:alias{alias}/alias:-::\n"
        f"=jane:joe{people}/joe:-:jane:\n+jane-:joe{people}/joe:-:jane-:\n"
        "=last:l:1:1:/l:::\n.\n"
    )
    (tree / "users/include").write_text("alias\n")
    (tree / "users/subusers").unlink()
    assert b"joe" not in run("qmail-pw2u", tree, text=text)[1]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["-C"], "=joe:joe{people}/joe:::\n=sue:"),
        (["-c+"], "+joe+:joe{people}/joe:-::\n"),
        (["-/"], "+joe-:joe{people}/joe:-/::\n"),
        (["-u"], "=Sue:Sue{people}/sue:::\n"),
        (["-H"], "=gone:gone{people}/gone:::\n"),
        (["-H", "-o"], "=joe:joe{people}/joe:::\n+joe-:"),
    ],
)
def test_pw2u_obeys_its_options(tree, options, line):
    """Which homes and names are taken, and what stands before an extension."""
    text, people, _ = passwd(tree)
    assert line.format(people=people) in run("qmail-pw2u", tree, *options, text=text)[1].decode()


@pytest.mark.parametrize(
    ("options", "drop", "status", "why"),
    [
        (["-h"], b"", 111, "gone is not there"),
        (["-x"], b"", 100, "not recognized"),
        ([], b"alias", 111, "no user alias"),
    ],
)
def test_pw2u_says_why_it_can_t(tree, options, drop, status, why):
    """A missing home where homes are needed, an unknown option, no alias user."""
    text = b"\n".join(line for line in passwd(tree)[0].split(b"\n") if not drop or not line.startswith(drop))
    found, _, error = run("qmail-pw2u", tree, *options, text=text)
    assert (found, why in error) == (status, True), error


def test_pw2u_refuses_a_subuser_of_nobody(tree):
    """A typing mistake there would send mail to the wrong place."""
    (tree / "users/subusers").write_text("jane:jack:jane:\n")
    status, _, error = run("qmail-pw2u", tree, text=passwd(tree)[0])
    assert (status, "names jack" in error) == (111, True)
