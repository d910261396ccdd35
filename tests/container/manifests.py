"""The Kubernetes manifests as kustomize would put them together, as far as they use it."""

from pathlib import Path
from typing import Any

import yaml
from containers import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
Manifest = dict[str, Any]


def documents(path: Path) -> list[Manifest]:
    return list(yaml.safe_load_all(path.read_text()))


def kustomized() -> list[Manifest]:
    """All resources, and what the configMapGenerator makes."""
    (kustomization,) = documents(FOLDER / "kustomization.yaml")
    found = [manifest for name in kustomization["resources"] for manifest in documents(FOLDER / name)]
    for generator in kustomization["configMapGenerator"]:
        assert generator["options"]["disableNameSuffixHash"]
        data = {name: (FOLDER / name).read_text() for name in generator["files"]}
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data})
    for manifest in found:
        for label in kustomization["labels"]:
            manifest["metadata"].setdefault("labels", {}).update(label["pairs"])
    return found


def of_kind(kind: str) -> Manifest:
    """The first manifest of a kind."""
    return next(manifest for manifest in kustomized() if manifest["kind"] == kind)


def for_podman(name: str, port: int) -> list[Manifest]:
    """A Deployment from the StatefulSet's template, its claim and its ConfigMap, for `podman play kube`.

    Podman 4.3 skips StatefulSets, and crashes on Secret volumes.
    """
    stateful = of_kind("StatefulSet")
    configuration = of_kind("ConfigMap")
    configuration["metadata"]["name"] = name
    template = stateful["spec"]["template"]
    (claim,) = stateful["spec"]["volumeClaimTemplates"]
    pod = template["spec"]
    pod["volumes"] = [
        {"name": "configuration", "configMap": {"name": name}},
        {"name": "state", "persistentVolumeClaim": {"claimName": f"{name}-state"}},
    ]
    (container,) = pod["containers"]
    container["volumeMounts"] = [mount for mount in container["volumeMounts"] if mount["name"] != "secrets"]
    container["imagePullPolicy"] = "Never"
    container["ports"][0] |= {"hostPort": port, "hostIP": "127.0.0.1"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": stateful["spec"]["selector"], "template": template},
    }
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"{name}-state"},  # podman makes a volume of each name, the ConfigMap's too
        "spec": claim["spec"],
    }
    return [configuration, volume, deployment]
