"""The images are built and started once; at the end nothing of them is left but the images."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docker.compose import Compose


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A first build fetches torch."""
    for item in items:
        if "docker" in item.path.parts:
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def deployment() -> Iterator[Compose]:
    """Three workers, started at once on an empty volume."""
    compose = Compose(HEADRACE_WORKERS="3", HEADRACE_MAX_SLOTS="8")
    compose.build()
    try:
        compose.up()
        yield compose
    finally:
        compose.down()
