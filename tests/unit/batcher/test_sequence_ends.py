"""The ends of sequence that the files of a model name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import LlavaConfig

from batcher.model_preparation import build_card
from batcher.model_source import resolve_source
from batcher.sequence_ends import eos_token_ids

TOKENIZER = SimpleNamespace(eos_token_id=0)


def ends(
    folder: Path, config: dict[str, Any], generation: dict[str, Any] | None = None
) -> tuple[int, ...]:
    """The ends of a model whose tokenizer's is 0, with files that say what a test says."""
    (folder / "config.json").write_text(json.dumps(config))
    if generation is not None:
        (folder / "generation_config.json").write_text(json.dumps(generation))
    return eos_token_ids(TOKENIZER, None, folder)


@pytest.mark.parametrize("generation", [None, {}, {"eos_token_id": None}, {"eos_token_id": []}])
@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"eos_token_id": 7}, (0, 7)),
        ({"eos_token_id": [7, 9]}, (0, 7, 9)),
        ({"text_config": {"eos_token_id": 7}}, (0, 7)),
        ({"text_config": {"eos_token_id": [7, 9]}}, (0, 7, 9)),
        ({"eos_token_id": None, "text_config": {"eos_token_id": 7}}, (0, 7)),
        ({"eos_token_id": 7, "text_config": {"eos_token_id": 9}}, (0, 7)),
        ({"eos_token_id": 0}, (0,)),
        ({"eos_token_id": -1}, (0,)),
        ({"eos_token_id": None}, (0,)),
        ({}, (0,)),
    ],
)
def test_config_json_says_what_generation_config_json_does_not(
    tmp_path: Path,
    config: dict[str, Any],
    generation: dict[str, Any] | None,
    expected: tuple[int, ...],
) -> None:
    assert ends(tmp_path, config, generation) == expected


@pytest.mark.parametrize(
    ("named", "expected"), [(5, (0, 5)), ([5, 6], (0, 5, 6)), (0, (0,)), ([0], (0,))]
)
def test_generation_config_json_has_the_last_word(
    tmp_path: Path, named: int | list[int], expected: tuple[int, ...]
) -> None:
    config = {"eos_token_id": 7, "text_config": {"eos_token_id": 9}}
    assert ends(tmp_path, config, {"eos_token_id": named}) == expected


def test_the_card_has_the_end_that_config_json_alone_names(
    tiny_llama: Path, tmp_path: Path
) -> None:
    """A model of several modalities, whose language model has its configuration inside."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_llama, folder)
    (folder / "generation_config.json").unlink()
    LlavaConfig(text_config={"model_type": "llama", "eos_token_id": [7, 9]}).save_pretrained(folder)
    assert build_card(resolve_source(str(folder)), folder, print).eos_token_ids == (0, 7, 9)
