"""Clients of others do a chat, a stream and a structured answer, unmodified."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.environments import Environments
from tests.clients.clients import NODE, PYTHON, Answers, Site, ask_with_node, ask_with_python


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", PYTHON)
def test_a_client_of_python(
    environments: Environments, site: Site, tmp_path: Path, name: str
) -> None:
    _assert_served(ask_with_python(name, environments, site, tmp_path))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", NODE)
def test_a_client_of_javascript(
    environments: Environments, site: Site, tmp_path: Path, name: str
) -> None:
    _assert_served(ask_with_node(name, environments, site, tmp_path))


def _assert_served(answers: Answers) -> None:
    assert answers.chat.strip()
    assert len(answers.stream) > 1
    assert answers.structured.keys() == {"name", "is_longer"}
    assert answers.structured["name"] in ("Rhine", "Danube")
    assert isinstance(answers.structured["is_longer"], bool)
