"""Each published template is a test of its own."""

from __future__ import annotations

import pytest

from tests.templates.archive import fetch_templates

TEMPLATES = pytest.StashKey[dict[str, str]]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "template" in metafunc.fixturenames:
        found = _templates(metafunc.config)
        metafunc.parametrize("template", found.values(), ids=list(found))


@pytest.fixture
def templates(pytestconfig: pytest.Config) -> dict[str, str]:
    return _templates(pytestconfig)


def _templates(config: pytest.Config) -> dict[str, str]:
    if TEMPLATES not in config.stash:
        assert config.cache is not None
        config.stash[TEMPLATES] = fetch_templates(config.cache.mkdir("templates"))
    return config.stash[TEMPLATES]
