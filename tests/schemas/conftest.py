"""The cases of the suite, and a pipeline that draws output at random under a schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.schemas.archive import Case, fetch_cases
from tests.schemas.drawing import Drawer


@pytest.fixture(scope="session")
def cases(pytestconfig: pytest.Config) -> list[Case]:
    assert pytestconfig.cache is not None
    return fetch_cases(pytestconfig.cache.mkdir("schemas"))


@pytest.fixture(scope="session")
def drawer(tmp_path_factory: pytest.TempPathFactory) -> Drawer:
    folder: Path = tmp_path_factory.mktemp("openvino")
    return Drawer(folder)
