"""The files under deploy/, and the Containerfile, by the linters of their kinds; no container runs here."""

import json
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from containers import ROOT
from manifests import FOLDER, kustomized, of_kind

BIN = Path(sys.executable).parent
COMPOSE = ROOT / "deploy" / "compose.yaml"


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_containerfile_is_sound():
    """By hadolint."""
    run(BIN / "hadolint", ROOT / "Containerfile")


def test_the_compose_file_is_valid():
    """By the Compose specification's own schema."""
    run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_the_compose_service_is_hardened():
    """Compose gives the container no more than `make up` does, and 40 s to stop."""
    service = yaml.safe_load(COMPOSE.read_text())["services"]["paperpath"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["stop_grace_period"] == "40s"
    assert service["user"] == "10025:0"
    assert [volume["target"] for volume in service["volumes"]] == ["/etc/paperpath", "/var/lib/paperpath"]


@pytest.mark.parametrize(
    "manifest", kustomized(), ids=lambda manifest: f"{manifest['kind']}-{manifest['metadata']['name']}"
)
def test_a_manifest_is_valid(manifest):
    """By the API's own schema, unknown fields refused."""
    kubernetes_validate.validate(manifest, "1.36", strict=True)


def test_the_kinds_are_complete():
    """What a mail service needs in a cluster, and no namespace: that is for whoever applies it."""
    kinds = sorted(manifest["kind"] for manifest in kustomized())
    assert kinds == [
        *("ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Secret", "Service", "Service", "StatefulSet"),
    ]
    assert not any("namespace" in manifest["metadata"] for manifest in kustomized())


def test_the_pod_meets_the_restricted_standard():
    """Pod Security Standards, level restricted."""
    pod = of_kind("StatefulSet")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] != 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all(volume.keys() <= {"name", "configMap", "secret"} for volume in pod["volumes"])
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert not any("hostPort" in port for port in container["ports"])


def test_configuration_is_mounted_as_a_folder():
    """A subPath mount would never see a change."""
    (container,) = of_kind("StatefulSet")["spec"]["template"]["spec"]["containers"]
    assert not any("subPath" in mount for mount in container["volumeMounts"])
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {
        *("/etc/paperpath", "/run/secrets/paperpath", "/var/lib/paperpath"),
    }


def test_probes_ask_the_programs():
    """All three are one list of words that no shell could misread."""
    (container,) = of_kind("StatefulSet")["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["exec"]["command"] == ["paperpath", "health"]


def test_clients_keep_their_addresses():
    """Relay control and the log need the client, not the node."""
    assert of_kind("Service")["spec"]["externalTrafficPolicy"] == "Local"


@pytest.mark.parametrize(
    "path", [FOLDER / "mail.yaml", ROOT / "config" / "mail.yaml"], ids=lambda path: path.parent.name
)
def test_the_examples_check(path):
    """The configuration files that are handed out are right, by the schema and by `paperpath check`."""
    run(BIN / "check-jsonschema", "--schemafile", ROOT / "schema" / "mail.schema.json", path)
    run(BIN / "paperpath", "check", path)


def test_the_schema_is_a_schema():
    """By its metaschema."""
    run(BIN / "check-jsonschema", "--check-metaschema", ROOT / "schema" / "mail.schema.json")
    assert json.loads((ROOT / "schema" / "mail.schema.json").read_text())["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize("path", sorted([*ROOT.glob(".ci/*"), *ROOT.glob("deploy/*.sh")]), ids=lambda path: path.name)
def test_scripts_parse(path):
    """By the shell that runs them."""
    run("bash", "-n", path)
