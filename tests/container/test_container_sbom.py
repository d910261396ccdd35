"""The bill of materials: all that is in the image, in the official format; and the audit, which never says more than it asked."""

import json
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from containers import ROOT, Container
from jsonschema import Draft7Validator
from referencing import Registry, Resource

sys.path.insert(0, str(ROOT / "deploy"))
import audit
import sbom

COPYRIGHT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: GPL-2+\n"
STATUS = "Package: zlib1g\nVersion: 1:1.3.dfsg+really1.3.1-1\nArchitecture: amd64\n"


def problems(document: dict[str, Any]) -> list[str]:
    """What the official schema has against a document (it comes with cyclonedx-python-lib)."""
    folder = resources.files("cyclonedx.schema") / "_res"
    names = ("bom-1.6", "spdx", "jsf-0.82")
    schemas = [json.loads((folder / f"{name}.SNAPSHOT.schema.json").read_text()) for name in names]
    registry = Registry().with_resources((each["$id"], Resource.from_contents(each)) for each in schemas)
    return [error.message for error in Draft7Validator(schemas[0], registry=registry).iter_errors(document)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An image's folder with one Debian package, one wheel and ourselves."""
    status = tmp_path / "var/lib/dpkg/status.d"
    status.mkdir(parents=True)
    (status / "zlib1g").write_text(STATUS)
    (status / "zlib1g.md5sums").write_text("")
    document = tmp_path / "usr/share/doc/zlib1g"
    document.mkdir(parents=True)
    (document / "copyright").write_text(COPYRIGHT)
    for name, licence in (("Some_Thing-1.0", "License-Expression: MIT\n"), ("paperpath-0.1.0", "License: own\n")):
        about = tmp_path / f"usr/local/lib/python3.13/dist-packages/{name}.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text("Name: {}\nVersion: {}\n".format(*name.split("-")) + licence)
    return tmp_path


def test_each_part_has_its_version_its_licence_and_its_hash(root: Path, tmp_path: Path) -> None:
    """The hash of a Debian package is what apt checked, that of a wheel what was installed; Paperpath is what it is all for."""
    (tmp_path / "some_thing-1.0-py3-none-any.whl").write_bytes(b"x")
    made = sbom.bill(root, tmp_path, STATUS + f"SHA256: {'ab' * 32}\n")
    assert made == sbom.bill(root, tmp_path, STATUS + f"SHA256: {'ab' * 32}\n")
    document = json.loads(made)
    assert problems(document) == []
    zlib, thing = document["components"]
    assert (zlib["name"], zlib["version"]) == ("zlib1g", "1:1.3.dfsg+really1.3.1-1")
    assert zlib["purl"] == "pkg:deb/debian/zlib1g@1%3A1.3.dfsg%2Breally1.3.1-1?arch=amd64"
    assert zlib["licenses"] == [{"license": {"name": "GPL-2+"}}]
    assert zlib["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert thing["licenses"] == [{"expression": "MIT"}]
    assert thing["hashes"][0]["content"] == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert document["metadata"]["component"]["name"] == "paperpath"


def test_the_schema_notices(root: Path, tmp_path: Path) -> None:
    """A part without a name, a hash of no length: else the test above would show nothing."""
    document = json.loads(sbom.bill(root, tmp_path, ""))
    del document["components"][0]["name"]
    document["components"][1]["hashes"] = [{"alg": "SHA-256", "content": "12"}]
    assert len(problems(document)) == 2


@pytest.mark.container
def test_the_image_tells_what_is_in_it(running: Container) -> None:
    """Every Debian package and every wheel of the image is in its bill, and nothing else; each has a licence and a hash."""
    document = json.loads(running.run("python3", "-c", f"print(open('/{sbom.PLACE}').read())"))
    assert problems(document) == []
    debian = running.python("[n for n in os.listdir('/var/lib/dpkg/status.d') if not n.endswith('.md5sums')]")
    wheels = running.python(
        "[d.metadata['Name'] + ' ' + d.version for d in __import__('importlib.metadata').metadata.distributions()]"
    )
    parts = [document["metadata"]["component"], *document["components"]]
    python = {f"{part['name']} {part['version']}" for part in parts if "deb/" not in part.get("purl", "")}
    assert {part["name"] for part in parts if part.get("purl", "").startswith("pkg:deb/")} == set(debian)
    assert python == {f"{sbom.plain(name)} {version}" for name, version in map(str.split, wheels)}
    assert [part["name"] for part in parts[1:] if "licenses" not in part] == []
    assert [part["name"] for part in parts[1:] if "hashes" not in part] == []


TOLD = [
    {"name": "fine", "version": "1", "vulns": []},
    {"name": "bad", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]},
    {"name": "strange", "skip_reason": "Dependency not found"},
]


def test_who_was_not_asked_about_is_not_well() -> None:
    """pip-audit says 0 although it has passed over all packages of a mirror that has no advisories; the audit does not."""
    holes, silent = audit.python_holes(TOLD, {"fine": "1", "bad": "2", "strange": "1", "left-out": "1"})
    assert holes == ["bad 2: PYSEC-1, mended in 3"]
    assert silent == ["strange", "left-out"]


def test_an_older_package_than_debian_has_is_a_hole() -> None:
    """The image is made anew; without an answer nothing is said to be well."""
    told = "dash:\n  Installed: 1\n  Candidate: 1\nzlib1g:\n  Installed: (none)\n  Candidate: 1:1.4-2\n"
    assert audit.debian_holes({"dash": "1", "zlib1g": "1:1.3-1", "tzdata": "7"}, told) == (
        ["zlib1g 1:1.3-1: Debian has 1:1.4-2"],
        ["tzdata"],
    )
    assert audit.debian_holes({"dash": "1"}, "") == ([], ["dash"])


@pytest.mark.parametrize(
    ("silent", "candidates", "status"),
    [
        ([], "zlib1g:\n  Candidate: 1\n", audit.NOTHING),
        (["thing"], "zlib1g:\n  Candidate: 1\n", audit.NOT_ASKED),
        ([], "", audit.NOT_ASKED),
        (["thing"], "zlib1g:\n  Candidate: 2\n", audit.FOUND),
    ],
    ids=["all asked", "no advisories", "no mirror", "something found"],
)
def test_the_audit_s_exit_status_says_what_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: list[str], candidates: str, status: int
) -> None:
    """0 only if everything was asked about, 3 if not, 1 for a hole."""
    parts = [{"name": "thing", "version": "1", "purl": "pkg:pypi/thing@1"}]
    parts.append({"name": "zlib1g", "version": "1", "purl": "pkg:deb/debian/zlib1g@1"})
    (tmp_path / "sbom").write_text(json.dumps({"components": parts}))
    monkeypatch.setattr(audit, "ask", lambda service, pins: ([], silent))
    monkeypatch.setattr(audit, "candidates", lambda base, names: candidates)
    assert audit.main(tmp_path / "sbom", "base") == status
