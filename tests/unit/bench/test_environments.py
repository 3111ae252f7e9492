from __future__ import annotations

from pathlib import Path

import pytest

from bench import environments
from bench.environments import Environments


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that needs only what it has."""
    monkeypatch.setattr(environments, "REQUIREMENTS", {"empty": ["pip"]})


@pytest.mark.usefixtures("empty")
def test_an_environment_is_made_once(tmp_path: Path) -> None:
    said: list[str] = []
    made = Environments(tmp_path, said.append)

    assert made.python("empty").is_file()
    assert made.python("empty") == made.python("empty")
    assert len(said) == 1
