"""What an operator does: change the YAML, break it, stop it, kill a part of it."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from appliance_process import PAPERPATH, Appliance, wait_until


def test_a_changed_yaml_takes_effect_without_a_restart(appliance: Callable[..., Appliance]) -> None:
    """A mailbox that is added to the YAML receives mail a moment later, in the same processes."""
    running = appliance().start()
    before = running.programs()
    running.configure(running.config.read_text().replace("bob: {}", "bob: {}\n      carol: {}"))
    wait_until(lambda: len(running.log("activated")) >= 2, 10, "the new generation")
    running.send("carol@example.org")
    wait_until(lambda: running.mailbox("carol"), 5, "carol's mail")
    assert running.programs() == before


def test_a_broken_yaml_changes_nothing_and_is_reported(appliance: Callable[..., Appliance]) -> None:
    """The last good generation stays, and the log says file, line and what would be right."""
    running = appliance().start()
    good = running.config.read_text()
    running.configure(good.replace("mailboxes:", "mailboxs:"))
    (refusal, *_) = wait_until(lambda: running.log("configuration_refused"), 10, "a refusal in the log")
    assert "mail.yaml:7:" in str(refusal["error"])
    assert "mailboxes" in str(refusal["error"])
    running.send("alice@example.org")
    wait_until(lambda: running.mailbox("alice"), 5, "the mail under the old configuration")


def test_a_configmap_swap_takes_effect(appliance: Callable[..., Appliance]) -> None:
    """Kubernetes swaps the link `..data`; the file's name stays a link through it."""
    running = appliance()
    folder, good = running.config.parent, running.config.read_text()
    running.config.unlink()
    for name, text in (("..1", good), ("..2", good.replace("bob: {}", "bob: {}\n      carol: {}"))):
        (folder / name).mkdir()
        (folder / name / "mail.yaml").write_text(text)
    (folder / "..data").symlink_to("..1")
    running.config.symlink_to("..data/mail.yaml")
    running.start()
    (folder / "..new").symlink_to("..2")
    (folder / "..new").replace(folder / "..data")
    wait_until(lambda: len(running.log("activated")) >= 2, 10, "the new generation")
    running.send("carol@example.org")


def test_a_bad_yaml_stops_the_start_with_its_lines(appliance: Callable[..., Appliance]) -> None:
    """At boot a broken YAML is printed and nothing starts: exit status 2."""
    broken = appliance(yaml="version: 1\nhostname: mx.example.org\ndomain: {}\n").start(wait=False)
    assert broken.process is not None
    assert broken.process.wait(20) == 2
    printed = broken.log_file.read_text()
    assert "mail.yaml:3:1: domain: " in printed
    assert "domains" in printed


def test_sigterm_keeps_what_is_queued(appliance: Callable[..., Appliance]) -> None:
    """What could not be delivered yet is still in the queue after a stop and a start."""
    more = "relay: {allow_from: [127.0.0.1/32]}\nroutes:\n  - {domain: partner.example, via: 'smtp://127.0.0.1:9'}\n"
    running = appliance(more).start()
    message = running.send("x@partner.example")
    wait_until(lambda: running.log("deferred"), 10, "the first attempt")
    assert running.stop() == 0
    assert [item["message"] for item in running.queue()] == [message]
    running.start()
    assert [item["message"] for item in running.queue()] == [message]


def test_every_killed_program_comes_back(appliance: Callable[..., Appliance]) -> None:
    """A kill -9 of any one program is repaired within seconds, and mail flows again."""
    running = appliance().start()
    for number, pid in enumerate(list(running.programs().values()), 1):
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda gone=pid: gone not in running.programs().values(), 5, "its end")
        wait_until(lambda: len(running.programs()) >= 5, 10, "its successor")
        wait_until(running.answers, 10, "a greeting")

        def sent() -> bool:
            try:
                running.send("alice@example.org")
            except (OSError, AssertionError):
                return False
            return True

        wait_until(sent, 10, "an accepted message")
        wait_until(lambda n=number: len(running.mailbox("alice")) >= n, 10, "its delivery")


def test_a_second_start_on_the_same_state_is_refused(appliance: Callable[..., Appliance]) -> None:
    """Two trees must never share a state folder; the second one says so and ends."""
    running = appliance().start()
    command = [PAPERPATH, "run", "--config", running.config, "--state", running.state]
    second = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert second.returncode == 1
    assert "already" in second.stdout + second.stderr
    assert running.answers()


def test_health_asks_the_programs(appliance: Callable[..., Appliance]) -> None:
    """`paperpath health` is 0 while all work and 1 when a program is gone."""
    running = appliance().start()

    def health() -> int:
        command = [PAPERPATH, "health", "--state", running.state]
        return subprocess.run(command, capture_output=True, check=False).returncode

    wait_until(lambda: health() == 0, 5, "health")
    assert running.stop() == 0
    assert health() == 1


def test_the_log_is_json_with_the_configurations_hash(appliance: Callable[..., Appliance]) -> None:
    """Every program's start line names the generation it serves: the one that is linked."""
    running = appliance().start()
    hash_ = Path(os.readlink(running.state / "generations" / "active")).name
    started = wait_until(lambda: len(running.log("started")) >= 5 and running.log("started"), 5, "five start lines")
    assert {line["configuration"] for line in started} == {hash_}
