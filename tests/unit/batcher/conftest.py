from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batcher.engine import Engine, load_engine
from batcher.model_store import PreparedModel
from batcher.openvino_engine.export.folder import export_folder
from batcher.openvino_engine.preparation import convert_gguf
from headrace.core.model_card import ModelCard
from headrace.core.settings import load_settings
from tests.engine_thread import threads_of
from tests.tiny_models import (
    CHAT_TEMPLATE,
    CONTEXT_TOKENS,
    make_tiny_gpt2,
    make_tiny_llama,
    make_tiny_llama_gguf,
)
from tests.unit.batcher.driving import MakeEngine
from worker.engine_process.client import EngineProcess


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


@pytest.fixture(scope="session")
def tiny_export(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama of safetensors, exported for OpenVINO."""
    folder = tmp_path_factory.mktemp("export") / "model"
    export_folder(load_settings(), "tiny", tiny_llama, folder, "int8", print)
    return folder


@pytest.fixture(scope="session")
def models(tiny_gpt2: Path, tiny_openvino: Path, tiny_export: Path) -> dict[str, Path]:
    """What each engine of `ENGINES` loads."""
    return {
        "simulated": tiny_gpt2,
        "torch": tiny_gpt2,
        "openvino": tiny_openvino,
        EXPORTED: tiny_export,
    }


EXPORTED = "openvino on an export"
ENGINES = ("simulated", "torch", "openvino", EXPORTED)
IN_PROCESSES = ("simulated", "torch", "openvino")
WITH_SCHEMAS = ("torch", "openvino")
BORDER = " over the border of a process"


@pytest.fixture(scope="module", params=ENGINES)
def make_local_engine(
    request: pytest.FixtureRequest, card: ModelCard, models: dict[str, Path]
) -> MakeEngine:
    """Makes each engine there is, called directly: a step brings one token."""
    return maker(request.param, card, models[request.param])


@pytest.fixture(scope="module", params=[*ENGINES, *(f"{name}{BORDER}" for name in IN_PROCESSES)])
def make_engine(
    request: pytest.FixtureRequest, card: ModelCard, models: dict[str, Path]
) -> MakeEngine:
    """Makes each engine there is, called directly and over the border of a process."""
    name = request.param.removesuffix(BORDER)
    make = maker(name, card, models[name])
    if request.param == name:
        return make

    def make_beside(own_card: ModelCard = card, **overrides: Any) -> Engine:
        engine = make(own_card, **overrides)
        return EngineProcess(load_settings(), threads_of(lambda: engine, own_card))

    return make_beside


@pytest.fixture(scope="module", params=WITH_SCHEMAS)
def make_schema_engine(
    request: pytest.FixtureRequest, card: ModelCard, models: dict[str, Path]
) -> MakeEngine:
    """Makes each engine that holds output to JSON schemas."""
    return maker(request.param, card, models[request.param])


def maker(name: str, card: ModelCard, path: Path) -> MakeEngine:
    """In numbers that do not depend on who shares a batch."""
    engine: Any = name.partition(" ")[0]

    def make(own_card: ModelCard = card, **overrides: Any) -> Engine:
        defaults = {
            "dtype": "float32",
            "threads": 1,
            "max_slots": 4,
            "prefill_tokens": 16,
            "simulated_alpha_s": 0,
            "simulated_beta_s": 0,
            "simulated_gamma_s": 0,
        }
        own_settings = load_settings(**defaults | overrides)
        return load_engine(own_settings, PreparedModel(engine, path, own_card))

    return make
