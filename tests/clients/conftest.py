"""A deployment with the bundled model, and the environments of the clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.environments import Environments
from tests.clients.clients import Site
from tests.deployment import Deploy


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--environments", type=Path, default=Path(".environments"))


@pytest.fixture(scope="session")
def environments(request: pytest.FixtureRequest) -> Environments:
    """Those of the clients, each made when its test asks for it."""
    return Environments(request.config.getoption("--environments"), print)


@pytest.fixture(scope="module")
def site(deploy: Deploy) -> Site:
    """Serving with the default engine, as a user's first `headrace up` does."""
    deployment = deploy()
    [model] = deployment.client.get("/v1/models").json()["data"]
    return Site(f"{deployment.url}/v1", model["id"])
