"""The real thing: `headrace up` with SmolLM2, prepared once a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment import Deployment


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, smollm2_models: Path
) -> Iterator[Deployment]:
    """Serving, in fp32: there a greedy text does not depend on who shares the batch."""
    folder = tmp_path_factory.mktemp("up")
    deployment = Deployment(folder, smollm2_models, HEADRACE_DTYPE="float32")
    deployment.start()
    yield deployment
    if deployment.process is not None and deployment.process.poll() is None:
        deployment.stop()
    deployment.client.close()
