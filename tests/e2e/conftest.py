"""The real thing: `headrace up` with SmolLM2, prepared once a session."""

from __future__ import annotations

import pytest

from tests.deployment import Deploy, Deployment


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A real model on a busy machine takes its time."""
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="module")
def deployment(request: pytest.FixtureRequest, deploy: Deploy) -> Deployment:
    """Serving, in fp32: there a greedy text does not depend on who shares the batch.

    With torch, unless a test's parameter names another engine. One thread, since two that wait for
    each other crawl where something else takes a core.
    """
    engine = getattr(request, "param", "torch")
    return deploy(HEADRACE_ENGINE=engine, HEADRACE_DTYPE="float32", HEADRACE_THREADS="1")
