"""The real thing: `headrace up` with SmolLM2, prepared once a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment import Deployment


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A real model on a busy machine takes its time."""
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="module")
def deployment(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    smollm2_models: Path,
) -> Iterator[Deployment]:
    """Serving, in fp32: there a greedy text does not depend on who shares the batch.

    With torch, unless a test's parameter names another engine. One thread, since two that wait for
    each other crawl where something else takes a core.
    """
    settings = {"HEADRACE_DTYPE": "float32", "HEADRACE_THREADS": "1"}
    settings["HEADRACE_ENGINE"] = getattr(request, "param", "torch")
    deployment = Deployment(tmp_path_factory.mktemp("up"), smollm2_models, **settings)
    deployment.start()
    yield deployment
    if deployment.process is not None and deployment.process.poll() is None:
        deployment.stop()
    deployment.client.close()
