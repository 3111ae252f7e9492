from __future__ import annotations

from pathlib import Path

import pytest

from batcher.openvino_engine.preparation import convert_gguf
from headrace.core.model_card import ModelCard
from tests.tiny_models import (
    CHAT_TEMPLATE,
    CONTEXT_TOKENS,
    make_tiny_gpt2,
    make_tiny_llama,
    make_tiny_llama_gguf,
)


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_gpt2(tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def tiny_openvino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny GGUF Llama as OpenVINO loads it."""
    folder = tmp_path_factory.mktemp("openvino")
    convert_gguf(make_tiny_llama_gguf(folder / "gguf"), folder / "model")
    return folder / "model"


@pytest.fixture(scope="session")
def card(tiny_gpt2: Path) -> ModelCard:
    return ModelCard(
        name="tiny",
        tokenizer_json=(tiny_gpt2 / "tokenizer.json").read_text(),
        context_tokens=CONTEXT_TOKENS,
        eos_token_ids=(0,),
        chat_template=CHAT_TEMPLATE,
    )
