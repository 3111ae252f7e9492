from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from bench.engine import chosen
from bench.engine_model import ModelFiles


@pytest.fixture
def model(tmp_path: Path) -> ModelFiles:
    return ModelFiles("tiny", tmp_path, tmp_path / "tiny.gguf", vocabulary=320)


def test_llama_cpp_takes_part_where_it_is_asked_for(model: ModelFiles) -> None:
    assert "llama_cpp" not in chosen(Namespace(only=None, llama_cpp=None), model)
    assert "llama_cpp" in chosen(Namespace(only=None, llama_cpp=Path()), model)


def test_only_those_named_take_part(model: ModelFiles) -> None:
    assert chosen(Namespace(only=["torch", "static"], llama_cpp=None), model) == ["static", "torch"]


def test_without_a_gguf_file_nobody_is_asked_to_read_one(tmp_path: Path) -> None:
    model = ModelFiles("tiny", tmp_path, None, vocabulary=320)

    names = chosen(Namespace(only=None, llama_cpp=Path()), model)

    assert names == ["openvino", "static", "torch", "generate_batch"]
