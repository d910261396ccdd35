"""The StatefulSet's pod under `podman play kube`: the same template, as a Deployment."""

import secrets
import shutil
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from containers import greets, podman, wait_until
from manifests import for_podman
from ports import free_port

pytestmark = pytest.mark.container


@pytest.fixture
def pod(podman_works: None, tmp_path: Path) -> Iterator[tuple[str, int]]:
    """The pod's one container, and the port it is published at."""
    if shutil.which("catatonit", path="/usr/bin:/usr/libexec/podman") is None:
        pytest.skip("catatonit is not here (Debian package catatonit)")
    name, port = f"paperpath-kube-{secrets.token_hex(4)}", free_port()
    file = tmp_path / "kube.yaml"
    file.write_text(yaml.safe_dump_all(for_podman(name, port)))
    try:
        podman("play", "kube", file)
        # podman 4 says NAME-pod-0-paperpath, podman 5 NAME-pod-paperpath
        names = podman("ps", "--all", "--format", "{{.Names}}").split()
        yield next(found for found in names if found.startswith(name) and found.endswith("-paperpath")), port
    finally:
        podman("play", "kube", "--down", file, check=False)
        podman("volume", "rm", "--force", name, f"{name}-state", check=False)


def test_the_pod_runs_and_takes_mail(pod):
    """Restricted security context, configuration by ConfigMap, state by claim, probe by exec."""
    name, port = pod
    wait_until(lambda: greets(port), 30, lambda: podman("logs", name, check=False)[-3000:])
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as session:
        session.sendmail("sender@client.example", ["alice@example.org"], "Subject: kube\r\n\r\nin a pod\r\n")
    new = "/var/lib/paperpath/mail/example.org/alice/Maildir/new"
    look = f"import os; print(os.listdir('{new}') if os.path.isdir('{new}') else [])"
    wait_until(
        lambda: podman("exec", name, "python3", "-c", look).strip() != "[]", 15, lambda: podman("logs", name)[-3000:]
    )
    assert "CapEff:\t0000000000000000" in podman("exec", name, "python3", "-c", "print(open('/proc/1/status').read())")
    podman("healthcheck", "run", name)
    settings = podman("inspect", "--format", "{{.HostConfig.ReadonlyRootfs}} {{.Config.User}}", name)
    assert settings.split() == ["true", "10025:0"]
