from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from bench import environments
from bench.environments import TILE_CONFIG, Environments, Recipe


def _use(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "RECIPES", {"one": recipe})


def _distributions(python: Path) -> dict[str, str]:
    site = next(python.parents[1].glob("lib/python*/site-packages"))
    found = importlib.metadata.distributions(path=[str(site)])
    return {each.metadata["Name"]: each.version for each in found}


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _use(Recipe(("pip",)), monkeypatch)
    said: list[str] = []
    made = Environments(tmp_path, said.append)

    assert made.python("one").is_file()
    assert made.python("one") == made.python("one")
    assert len(said) == 1


def test_a_package_has_a_second_name_and_what_does_not_fit_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, version = "pip", importlib.metadata.version("pip")
    recipe = Recipe(
        (f"{name}=={version}",),
        is_constrained=False,
        unwanted=("setuptools",),
        known_as=(f"{name}-{version}", "twin-9.9+cpu"),
    )
    _use(recipe, monkeypatch)

    found = _distributions(Environments(tmp_path, lambda _text: None).python("one"))

    assert found == {name: version, "twin": "9.9+cpu"}


def test_what_llama_cpp_is_compiled_with_is_there() -> None:
    assert TILE_CONFIG.is_file()
