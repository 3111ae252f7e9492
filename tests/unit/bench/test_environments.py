from __future__ import annotations

from pathlib import Path

import pytest

from bench import environments
from bench.environments import Environments


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that needs no packages; another whose package is not to be had."""
    lists = {"empty": ["pip"], "wrong": ["./no-such-folder"]}
    monkeypatch.setattr(environments, "REQUIREMENTS", lists)


@pytest.mark.usefixtures("empty")
def test_an_environment_is_made_once(tmp_path: Path) -> None:
    said: list[str] = []
    made = Environments(tmp_path, said.append)

    assert made.python("empty").is_file()
    assert made.python("empty") == made.python("empty")
    assert len(said) == 1


@pytest.mark.usefixtures("empty")
def test_what_cannot_be_installed_is_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no-such-folder"):
        Environments(tmp_path, lambda _text: None).python("wrong")
