from __future__ import annotations

import pytest

from batcher.model_store import PreparedModel, prepare_model
from tests.integration.torch_engines import settings
from tests.tiny_models import MAKERS


@pytest.fixture(scope="session", params=MAKERS.keys())
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PreparedModel:
    """A model of each family; its card is named after it."""
    folder = MAKERS[request.param](tmp_path_factory.mktemp("model") / request.param)
    state_dir = tmp_path_factory.mktemp("state")
    return prepare_model(settings(model=str(folder), state_dir=state_dir), progress=print)
