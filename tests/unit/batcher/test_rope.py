"""Rotary embeddings whose frequencies do not depend on the rows of a forward."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    Phi3Config,
    PhimoeConfig,
    PreTrainedConfig,
)

from batcher.torch_engine.rope import freeze_rope
from headrace.core.errors import ModelError

CONTEXT, WINDOW = 256, 32
SIZES: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "pad_token_id": 0,
}
SHORT, LONG = [1.0, 1.1, 1.2, 1.3], [2.0, 3.0, 5.0, 8.0]
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "short_factor": SHORT,
    "long_factor": LONG,
    "original_max_position_embeddings": WINDOW,
    "factor": CONTEXT / WINDOW,
}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 4.0}
DEFAULT = {"rope_type": "default", "rope_theta": 10_000.0}


def rotary(config: PreTrainedConfig, context_tokens: int) -> Any:
    """The rotary embedding of a model frozen for this context."""
    model: Any = AutoModelForCausalLM.from_config(config)
    freeze_rope(model, context_tokens)
    return model.model.rotary_emb


def phi3() -> PreTrainedConfig:
    return Phi3Config(**SIZES, rope_parameters=LONGROPE, original_max_position_embeddings=WINDOW)


def angles(embedding: Any, last: int, *layer_type: str) -> torch.Tensor:
    """Of the second position, beside one at `last`."""
    cosines, sines = embedding(torch.zeros(1), torch.tensor([[1, last]]), *layer_type)
    return torch.atan2(sines, cosines)[0, 0]


@pytest.mark.parametrize(
    ("context_tokens", "factors"), [(WINDOW, SHORT), (WINDOW + 1, LONG), (100_000, LONG)]
)
def test_the_context_decides_on_the_factors(context_tokens: int, factors: list[float]) -> None:
    embedding = rotary(phi3(), context_tokens)
    expected = [1 / (factor * 10_000 ** (n / 4)) for n, factor in enumerate(factors)]
    for last in (1, WINDOW - 1, CONTEXT - 1, 1):
        assert angles(embedding, last)[:4].tolist() == pytest.approx(expected, rel=1e-4)


def test_dynamic_frequencies_stay_after_a_long_row() -> None:
    embedding = rotary(LlamaConfig(**SIZES, rope_parameters=DYNAMIC), 10 * CONTEXT)
    before = angles(embedding, 1)
    assert torch.equal(angles(embedding, 4 * CONTEXT), before)
    assert torch.equal(angles(embedding, 1), before)


def test_each_kind_of_layer_has_its_own_frequencies() -> None:
    config = Gemma3TextConfig(
        **SIZES,
        head_dim=8,
        layer_types=["full_attention"],
        rope_parameters={"full_attention": LONGROPE, "sliding_attention": DEFAULT},
    )
    embedding = rotary(config, CONTEXT)
    assert angles(embedding, 1, "full_attention")[0].item() == pytest.approx(1 / LONG[0])
    assert torch.equal(
        angles(embedding, 1, "full_attention"), angles(embedding, CONTEXT - 1, "full_attention")
    )


def test_rotations_that_do_not_depend_on_lengths_are_left_alone() -> None:
    embedding = rotary(LlamaConfig(**SIZES, rope_parameters=DEFAULT), CONTEXT)
    assert embedding.rope_type == "default"


def test_an_embedding_that_goes_on_choosing_is_refused_beyond_its_window() -> None:
    """Phi-3.5-MoE scales by the longest row in code of its own."""
    scales = {"short_mscale": 1.1, "long_mscale": 1.3}
    config = PhimoeConfig(**SIZES, rope_parameters=LONGROPE | scales, num_local_experts=2)
    rotary(config, WINDOW)
    with pytest.raises(ModelError, match="HEADRACE_MAX_CONTEXT_TOKENS"):
        rotary(config, WINDOW + 1)
