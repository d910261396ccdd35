"""Mail through the hardened container: in, out, and what happens to it when things change or stop."""

import json
import os

import pytest
from containers import Container, podman, wait_until

pytestmark = pytest.mark.container


def arrives(container: Container, mailbox: str, text: str, seconds: float = 15) -> str:
    """The message with this text, once it is in the mailbox."""

    def find() -> str | None:
        return next((message for message in container.mailbox(mailbox) if text in message), None)

    found = wait_until(find, seconds, lambda: f"{text!r} in {mailbox}'s Maildir\n{container.output()[-3000:]}")
    return str(found)


def test_a_message_comes_in_by_the_published_port(running):
    """SMTP from outside, into the Maildir in the volume, owned by the uid that the container was given."""
    running.send("alice@example.org", "through the port")
    message = arrives(running, "alice", "through the port")
    assert message.startswith("Return-Path: <sender@client.example>\n")
    folder = "/var/lib/paperpath/mail/example.org/alice/Maildir/new"
    assert running.python(f"[os.stat(e).st_uid for e in os.scandir('{folder}')][0]") == 12345


def test_a_stranger_can_not_relay(running):
    """Behind a published port every client may look like the gateway; nobody may relay unless the YAML says so."""
    assert not running.knows("carol@elsewhere.example")


def test_a_gateway_that_may_relay_is_warned_about(container):
    """Whoever lets the gateway relay lets in everybody who comes by the published port: the log says so loudly."""
    gateway = podman("network", "inspect", "podman", "--format", "{{(index .Subnets 0).Gateway}}").strip()
    made = container(more=f"relay:\n  allow_from: [{gateway}/32]").start()
    assert any(gateway in str(line["text"]) for line in made.log("configuration_warning"))


def test_root_steps_down_to_the_owner_of_the_state_folder(container):
    """Started as root, with the rights to change that, everything runs as the image's own user."""
    made = container(user="0:0", hardened=False).start()
    uid = "open(f'/proc/{p}/status').read().split('Uid:')[1].split()[0]"
    uids = made.python(f"[{uid} for p in os.listdir('/proc') if p.isdigit() and p != str(os.getpid())]")
    assert len(uids) > 4
    assert set(uids) == {"10025"}


def test_cron_jobs_and_scripts_send_from_inside(running):
    """By sendmail where programs look for it, and by qmail's own commands; the container's user is Paperpath's."""
    letter = "To: alice@example.org\\nSubject: cron\\n\\n"
    running.run("sh", "-c", f"printf '{letter}by sendmail' | /usr/sbin/sendmail -t -i")
    running.run("sh", "-c", f"printf '{letter}by qmail-inject' | /var/qmail/bin/qmail-inject")
    assert "invoked by uid 12345)" in arrives(running, "alice", "by sendmail")
    arrives(running, "alice", "by qmail-inject")
    wait_until(lambda: running.run("mailq") == "", 10, lambda: running.run("mailq"))


def test_the_health_check_asks_the_programs(running):
    """`podman healthcheck run` becomes healthy."""

    def healthy() -> bool:
        podman("healthcheck", "run", running.name, check=False)
        return running.inspect("{{.State.Health.Status}}") == "healthy"

    wait_until(healthy, 20, lambda: running.inspect("{{json .State.Health}}"))


def test_an_unhealthy_container_is_seen(container):
    """With the queue stopped dead, though port and process are there, the health check fails."""
    made = container().start()
    stop = "for p in /proc/[0-9]*; do read -r n <$p/comm; test $n != queue || kill -STOP ${p#/proc/}; done"
    podman("exec", made.name, "sh", "-c", stop, check=False)
    podman("healthcheck", "run", made.name, check=False)
    health = json.loads(made.inspect("{{json .State.Health}}"))
    assert health["Log"][-1]["ExitCode"] != 0
    assert "queue" in health["Log"][-1]["Output"]


def test_a_message_goes_out_to_the_next_host(container):
    """A route leads from one container to another; what the alias forwards arrives there."""
    partner = container(hostname="mx.partner.example", domain="partner.example").start()
    made = container(
        aliases="      out: [alice@partner.example]",
        more=f'routes:\n  - {{domain: partner.example, via: "smtp://{partner.address()}:2525"}}',
    ).start()
    made.send("out@example.org", "to the partner")
    message = arrives(partner, "alice", "to the partner")
    assert "mx.example.org" in message  # it came through the first one
    wait_until(lambda: made.queue() == [], 10, lambda: f"an empty queue, not {made.queue()}")


def test_a_changed_file_takes_effect_without_restart(container):
    """A new mailbox in the mounted folder's mail.yaml is served soon, by the same container."""
    made = container().start()
    started = made.inspect("{{.State.StartedAt}}")
    assert not made.knows("carol@example.org")
    made.configure(made.yaml.replace("alice: {}", "alice: {}\n      carol: {}"))
    wait_until(lambda: made.knows("carol@example.org"), 15, lambda: f"carol\n{made.output()[-3000:]}")
    made.send("carol@example.org", "new here")
    arrives(made, "carol", "new here")
    assert made.log("activated")
    assert made.inspect("{{.State.StartedAt}}") == started


def test_a_swapped_configmap_takes_effect_without_restart(container):
    """Kubernetes swaps a ..data link in the mounted folder; the new file is read like any other."""
    made = container()
    (made.config / "..1").mkdir()
    (made.config / "mail.yaml").rename(made.config / "..1" / "mail.yaml")
    (made.config / "..data").symlink_to("..1")
    (made.config / "mail.yaml").symlink_to("..data/mail.yaml")
    made.start()
    (made.config / "..2").mkdir()
    (made.config / "..2" / "mail.yaml").write_text(made.yaml.replace("alice: {}", "alice: {}\n      carol: {}"))
    (made.config / "..data_tmp").symlink_to("..2")
    os.replace(made.config / "..data_tmp", made.config / "..data")
    wait_until(lambda: made.knows("carol@example.org"), 15, lambda: f"carol\n{made.output()[-3000:]}")


def test_a_broken_file_changes_nothing_and_is_reported(container):
    """The log names file, line and key; mail goes on under the last good configuration."""
    made = container().start()
    made.configure(made.yaml.replace("mailboxes:", "mailboxen:"))
    lines = wait_until(lambda: made.log("configuration_refused"), 15, lambda: made.output()[-3000:])
    assert any(
        "/etc/paperpath/mail.yaml:7:" in str(line["error"]) and "mailboxen" in str(line["error"]) for line in lines
    )
    made.send("alice@example.org", "still here")
    arrives(made, "alice", "still here")


def test_a_broken_file_at_the_start_stops_the_start(container):
    """Nothing runs without a configuration: exit status 2, and the mistakes on the way out."""
    made = container()
    made.configure(made.yaml.replace("version: 1", "version: 99"))
    made.launch()
    assert podman("wait", made.name).strip() == "2"
    assert "mail.yaml:1:" in made.output()


def test_what_was_queued_survives_a_stop(container):
    """SIGTERM ends everything in order with status 0, in less than the 30 s until a kill, and the queue is whole after a restart."""
    made = container(
        aliases="      out: [alice@partner.example]",
        more='routes:\n  - {domain: partner.example, via: "smtp://127.0.0.1:9"}',  # nobody listens there
    ).start()
    made.send("out@example.org", "waits")
    wait_until(lambda: made.log("deferred"), 15, lambda: made.output()[-3000:])
    before = [message["message"] for message in made.queue()]
    assert len(before) == 1
    assert made.stop() < 30
    assert made.inspect("{{.State.ExitCode}}") == "0"
    made.again()
    assert [message["message"] for message in made.queue()] == before
    made.send("alice@example.org", "and goes on")
    arrives(made, "alice", "and goes on")
