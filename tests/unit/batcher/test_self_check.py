"""The self-check lets the families pass that the engine computes rightly, and no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    Cohere2Config,
    GemmaConfig,
    Glm4Config,
    GraniteConfig,
    MixtralConfig,
    Olmo2Config,
    OPTConfig,
    Phi3Config,
    PhiConfig,
    Qwen3MoeConfig,
    SmolLM3Config,
    Starcoder2Config,
)

from batcher.engine import load_engine
from batcher.model_store import PreparedModel
from batcher.torch_engine.engine import TorchEngine
from batcher.torch_engine.model import make_ready, read_model
from batcher.torch_engine.self_check import make_reference
from headrace.core.errors import ModelError
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings, load_settings
from headrace.core.types import EngineStats
from tests.tiny_models import (
    MAKERS,
    SIZES,
    make_tiny,
    make_tiny_diffllama,
    make_tiny_jetmoe,
    make_tiny_xglm,
)
from tests.unit.batcher.driving import a_request, run_alone

GROUPED = SIZES | {"num_key_value_heads": 2}
EXPERTS = GROUPED | {"num_experts_per_tok": 2, "num_local_experts": 4, "num_experts": 4}
FAMILIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "cohere2": (Cohere2Config, GROUPED),
    "gemma": (GemmaConfig, GROUPED | {"head_dim": 8}),
    "glm4": (Glm4Config, GROUPED | {"head_dim": 8}),
    "granite": (GraniteConfig, GROUPED),
    "mixtral": (MixtralConfig, EXPERTS),
    "olmo2": (Olmo2Config, GROUPED),
    "opt": (OPTConfig, SIZES | {"ffn_dim": 64, "word_embed_proj_dim": 32}),
    "phi": (PhiConfig, GROUPED),
    "phi3": (Phi3Config, GROUPED),
    "qwen3_moe": (Qwen3MoeConfig, EXPERTS | {"head_dim": 16, "moe_intermediate_size": 32}),
    "smollm3": (SmolLM3Config, GROUPED),
    "starcoder2": (Starcoder2Config, GROUPED),
}


def settings(**overrides: Any) -> Settings:
    defaults: dict[str, Any] = {"dtype": "float32", "threads": 1, "max_slots": 4}
    return load_settings(**defaults | overrides)


def load(folder: Path, card: ModelCard, **overrides: Any) -> TorchEngine:
    engine = load_engine(settings(**overrides), PreparedModel("torch", folder, card))
    assert isinstance(engine, TorchEngine)
    return engine


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", [*MAKERS, *FAMILIES])
def test_families_that_the_engine_computes_rightly_pass(
    family: str, dtype: str, tmp_path: Path, card: ModelCard
) -> None:
    if family in MAKERS:
        folder = MAKERS[family](tmp_path)
    else:
        folder = make_tiny(*FAMILIES[family], tmp_path)
    load(folder, card, dtype=dtype).close()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("make", [make_tiny_diffllama, make_tiny_jetmoe])
def test_families_that_run_and_answer_wrongly_are_found_out(
    make: Any, dtype: str, tmp_path: Path, card: ModelCard
) -> None:
    with pytest.raises(ModelError, match=r"does not answer as the model tiny \((diffllama|jetmoe)"):
        load(make(tmp_path), card, dtype=dtype)


def test_a_family_whose_attention_cannot_be_replaced_is_refused(
    tmp_path: Path, card: ModelCard
) -> None:
    with pytest.raises(ModelError, match=r"model tiny \(xglm\) has an attention that cannot be"):
        load(make_tiny_xglm(tmp_path), card)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("layer", ["_output", "_gate._gate", "_down", "_qkv"])
def test_a_layer_that_was_joined_wrongly_is_found_out(
    layer: str, slots: int, dtype: str, tiny_llama: Path, card: ModelCard
) -> None:
    own = settings(dtype=dtype, max_slots=slots)
    plain = read_model(own, tiny_llama)
    reference = make_reference(plain, card)
    model = make_ready(plain, own)
    engine = TorchEngine(model, own, card)
    engine.warm_up(reference)

    linear = model.model.layers[0].get_submodule(layer)
    forward = linear.forward
    linear.forward = lambda states: forward(states) * 2
    for method in ("plus", "silu"):
        then = getattr(linear, method)
        setattr(linear, method, lambda *states, then=then: then(*states) * 2)
    with pytest.raises(ModelError, match="does not answer as the model tiny"):
        engine.warm_up(reference)


@pytest.mark.parametrize("rows", ["_prefill", "_decode"])
def test_an_attention_that_forgets_what_was_read_before_is_found_out(
    rows: str, tiny_llama: Path, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batcher.torch_engine import attention

    original = getattr(attention, rows)

    def forgetful(tokens: Any, keys: Any, values: Any, *rest: Any) -> Any:
        values = values.clone()
        values[:, 0] = 0
        return original(tokens, keys, values, *rest)

    monkeypatch.setattr(attention, rows, forgetful)
    with pytest.raises(ModelError, match="does not answer as the model tiny"):
        load(tiny_llama, card)


@pytest.mark.parametrize("context_tokens", [1, 2, 3, 4, 12, 24])
@pytest.mark.parametrize("slots", [1, 2])
def test_a_context_may_be_tiny(
    context_tokens: int, slots: int, tiny_llama: Path, card: ModelCard
) -> None:
    short = replace(card, context_tokens=context_tokens)
    load(tiny_llama, short, max_slots=slots, max_context_tokens=context_tokens).close()


def test_a_cache_may_hold_one_request_alone(tiny_llama: Path, card: ModelCard) -> None:
    token_bytes = 2 * 2 * 2 * 8 * 4  # layers, keys and values, heads, dimension, fp32
    engine = load(tiny_llama, card, kv_cache_gb=256 * token_bytes / 1e9)
    assert engine.room().tokens == 256


def test_nothing_of_it_is_counted_and_no_slot_stays_taken(
    tiny_llama: Path, card: ModelCard
) -> None:
    engine = load(tiny_llama, card)
    assert engine.stats() == EngineStats(slots=4)
    assert engine.is_idle
    assert engine.room().slots == 4
    assert len(run_alone(engine, a_request("a", range(40, 70), 5)).ids) == 5


def test_its_ids_are_the_same_every_time_and_none_is_an_added_token(
    tiny_llama: Path, card: ModelCard
) -> None:
    model = read_model(settings(), tiny_llama)
    first, second = (make_reference(model, card) for _ in range(2))
    assert torch.equal(first.ids, second.ids)
    assert first.ids.min() > 2


def test_the_worker_of_a_number_takes_its_own_gpu(
    tiny_llama: Path, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []

    def pick_device(settings: Settings, worker: int | None) -> torch.device:
        asked.append(worker)
        return torch.device("cpu")

    monkeypatch.setattr("batcher.torch_engine.model.pick_device", pick_device)
    load_engine(settings(), PreparedModel("torch", tiny_llama, card), worker=3).close()
    assert asked == [3]
