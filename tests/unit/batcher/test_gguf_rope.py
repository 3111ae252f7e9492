"""What a GGUF file says of its rotary frequencies reaches the model made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Phi3Config

from batcher.gguf_rope import keep_rope
from batcher.model_preparation import make_weights
from batcher.model_source import resolve_source
from tests.tiny_models import CONTEXT_TOKENS, make_tiny_llama_gguf

FACTORS = [1.0, 2.0, 8.0, 32.0]
LONG = [2.0, 3.0, 5.0, 8.0]
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "vocab_size": 64,
    "pad_token_id": 0,
}

Write = Callable[[gguf.GGUFWriter], None]


def write(file: Path, architecture: str, more: Write) -> Path:
    writer = gguf.GGUFWriter(file, architecture)
    more(writer)
    writer.add_tensor("token_embd.weight", np.ones((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def test_factors_for_every_length_divide_the_frequencies(tmp_path: Path) -> None:
    def more(writer: gguf.GGUFWriter) -> None:
        writer.add_tensor("rope_freqs.weight", np.array(FACTORS, np.float32))

    config = LlamaConfig(**SIZES)
    keep_rope(write(tmp_path / "a.gguf", "llama", more), config)
    rope = config.rope_parameters
    assert rope["rope_type"] == "longrope"
    assert rope["long_factor"] == rope["short_factor"] == FACTORS
    assert rope["attention_factor"] == 1.0


def test_phi3_keeps_both_sets_its_window_and_its_attention_factor(tmp_path: Path) -> None:
    def more(writer: gguf.GGUFWriter) -> None:
        writer.add_rope_scaling_orig_ctx_len(32)
        writer.add_rope_scaling_attn_factors(1.25)
        writer.add_tensor("rope_factors_long.weight", np.array(LONG, np.float32))
        writer.add_tensor("rope_factors_short.weight", np.array(FACTORS, np.float32))

    config = Phi3Config(**SIZES)
    keep_rope(write(tmp_path / "a.gguf", "phi3", more), config)
    rope = config.rope_parameters
    assert (rope["long_factor"], rope["short_factor"]) == (LONG, FACTORS)
    assert rope["attention_factor"] == 1.25
    assert config.original_max_position_embeddings == 32
    assert Phi3Config(**config.to_dict()).rope_parameters == rope


@pytest.mark.parametrize("kind", [gguf.RopeScalingType.LINEAR, gguf.RopeScalingType.YARN])
def test_scaling_by_keys_is_kept(tmp_path: Path, kind: gguf.RopeScalingType) -> None:
    def more(writer: gguf.GGUFWriter) -> None:
        writer.add_rope_scaling_type(kind)
        writer.add_rope_scaling_factor(4.0)
        writer.add_rope_scaling_orig_ctx_len(64)

    config = LlamaConfig(**SIZES)
    keep_rope(write(tmp_path / "a.gguf", "llama", more), config)
    rope = config.rope_parameters
    assert (rope["rope_type"], rope["factor"]) == (kind.value, 4.0)
    assert rope["original_max_position_embeddings"] == 64


def test_plain_frequencies_stay_plain(tmp_path: Path) -> None:
    config = LlamaConfig(**SIZES)
    before = dict(config.rope_parameters)
    keep_rope(write(tmp_path / "a.gguf", "llama", lambda _: None), config)
    assert config.rope_parameters == before


def test_a_converted_file_rotates_by_its_factors(tmp_path: Path) -> None:
    file = make_tiny_llama_gguf(tmp_path / "gguf", rope_factors=FACTORS)
    make_weights(resolve_source(str(file)), tmp_path / "weights", print)
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "weights")
    positions = torch.tensor([[1, CONTEXT_TOKENS - 1]])
    cosines, sines = model.model.rotary_emb(torch.zeros(1), positions)
    expected = [1 / (factor * 10_000 ** (n / 4)) for n, factor in enumerate(FACTORS)]
    assert torch.atan2(sines, cosines)[0, 0, :4].tolist() == pytest.approx(expected, rel=1e-4)
