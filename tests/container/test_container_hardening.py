"""The hardened container as it runs, looked at with testinfra."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra
from containers import UID, Container

pytestmark = pytest.mark.container
TOOLS = ("cat", "id", "ls", "netstat", "ps", "stat", "test", "uname", "getent", "find")


@pytest.fixture(scope="module")
def host(podman_works: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[testinfra.host.Host]:
    """A container with a folder of tools that the image does not have, for testinfra to ask with."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not here (Debian package busybox-static)")
    tools = tmp_path_factory.mktemp("tools")
    shutil.copy(busybox, tools / "busybox")
    for tool in TOOLS:
        (tools / tool).symlink_to("busybox")
    tools.chmod(0o755)
    made = Container(tmp_path_factory.mktemp("hardened"))
    try:
        made.start("--volume", f"{tools}:/tools:ro", "--env", "PATH=/usr/bin:/tools")
        yield testinfra.get_host(f"podman://{made.name}")
    finally:
        made.remove()


def pids(host: testinfra.host.Host) -> list[str]:
    """Paperpath's processes: all but the shell and the tools that ask."""
    asked = host.check_output(
        "for p in /proc/[0-9]*; do read -r name < $p/comm; echo ${p#/proc/} $name; done"
    ).splitlines()
    return [line.split()[0] for line in asked if line.split()[1] not in {"sh", "dash", "busybox"}]


def status(host: testinfra.host.Host, pid: str) -> dict[str, str]:
    """A process's /proc/PID/status."""
    lines = host.check_output("cat /proc/%s/status", pid).splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def test_no_process_has_any_right(host):
    """An arbitrary uid, no capability, no new privileges, system calls filtered: every process, PID 1 too."""
    found = pids(host)
    assert len(found) > 4  # the supervisor, smtpd, queue, local, remote ...
    for pid in found:
        process = status(host, pid)
        assert process["Uid"].split() == [str(UID)] * 4
        assert process["Gid"].split() == ["0"] * 4
        assert {process[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert process["NoNewPrivs"] == "1"
        assert process["Seccomp"] == "2"


LOOK = """if True:
    import sys
    for pid in sys.argv[1:]:
        for name in ("environ", "mem", "maps", "fd"):
            try:
                (open if name != "fd" else __import__("os").listdir)(f"/proc/{pid}/{name}")
                print(pid, name)
            except PermissionError:
                continue
"""


def test_no_process_of_the_same_user_looks_into_another(host):
    """Not even one that no sandbox keeps in: role tokens and passwords are in their memory."""
    assert host.check_output(f"python3 -c %s {' '.join(pids(host))}", LOOK) == ""


def test_only_the_state_folder_can_be_written(host):
    """The root file system is read-only; the volume is not."""
    assert host.run("echo x > /etc/x").rc != 0
    assert host.run("echo x > /usr/bin/x").rc != 0
    assert host.run("echo x > /tmp/x").rc != 0
    assert host.run("echo x > /etc/paperpath/x").rc != 0
    assert host.run("echo x > /var/lib/paperpath/x").rc == 0
    mounts = dict(line.split()[1:4:2] for line in host.check_output("cat /proc/mounts").splitlines())
    assert "ro" in mounts["/"].split(",")


def test_only_smtp_listens(host):
    """No control port, no debug port: what the YAML lists, and nothing else."""
    assert host.socket("tcp://0.0.0.0:2525").is_listening
    listening = host.check_output("netstat -ltn").splitlines()[2:]
    assert {line.split()[3] for line in listening} == {"0.0.0.0:2525"}
    assert host.check_output("netstat -lun").splitlines()[2:] == []


def test_there_is_nothing_to_build_or_install_with(host):
    """Whoever gets in finds no compiler, no installer and no tools (beyond those this test brought)."""
    for name in ("gcc", "cc", "ld", "make", "pip", "pip3", "apt-get", "dpkg", "curl", "wget", "perl", "bash", "ssh"):
        assert not host.exists(name), name


def test_the_user_is_known_and_has_no_password(host):
    """The numeric user of the image has a name, for programs that ask."""
    user = host.file("/etc/passwd").content_string
    assert "paperpath:x:10025:0:" in user
    assert not host.file("/etc/shadow").exists


def test_the_sandbox_holds_in_the_container(host):
    """The container's own system call filter lets a program lock itself in, and what is locked stays locked."""
    code = """if True:
        from pathlib import Path
        from appliance import sandbox
        state = Path("/var/lib/paperpath")
        print(sandbox.lock(sandbox.Rules(read=(state / "run",))))
        list((state / "run").iterdir())
        try:
            list((state / "mail").iterdir())
        except PermissionError:
            print("refused")
    """
    lacks, *result = host.check_output("python3 -c %s", code).splitlines()
    if lacks != "[]":
        pytest.skip(f"the kernel lacks: {lacks}")
    assert result == ["refused"]


def test_secrets_of_the_run_are_the_owner_s_alone(host):
    """Role tokens can be read by the programs' uid only."""
    folder = host.file("/var/lib/paperpath/run/tokens")
    assert folder.is_directory
    assert folder.mode == 0o700
    for name in host.check_output("ls %s", folder.path).split():
        assert host.file(f"{Path('/var/lib/paperpath/run/tokens', name)}").mode == 0o600
