"""Containers of the image that `make image` built."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from containers import ROOT, Container, need_podman


@pytest.fixture(scope="session")
def podman_works() -> None:
    """Containers can run here, with this project's settings for podman."""
    os.environ["CONTAINERS_CONF"] = str(ROOT / "deploy" / "containers.conf")
    need_podman()


@pytest.fixture(scope="session")
def running(podman_works: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """One container for the tests that only look."""
    made = Container(tmp_path_factory.mktemp("container"))
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture
def container(podman_works: None, tmp_path: Path) -> Iterator[Callable[..., Container]]:
    """Make containers; they and their volumes are removed at the end."""
    made: list[Container] = []

    def make(**settings: Any) -> Container:
        made.append(Container(tmp_path / f"container{len(made)}", **settings))
        return made[-1]

    yield make
    for one in made:
        one.remove()
