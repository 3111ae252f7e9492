from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from batcher.torch_engine.fused_layer import FusedLayer, fuse_layers
from batcher.torch_engine.linear import Products

SIZES: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "initializer_range": 0.3,
}


def make(model_class: Any, config_class: Any, **changes: Any) -> Any:
    """Random weights, norms and biases among them: fresh ones are all one or zero."""
    torch.manual_seed(0)
    model = model_class(config_class(**SIZES | changes)).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, mean=0.5)
    return model


def layer_types(model: Any) -> set[type]:
    return {type(layer) for layer in model.model.layers}


@pytest.mark.parametrize(
    ("model_class", "config_class", "changes"),
    [
        (LlamaForCausalLM, LlamaConfig, {}),
        (LlamaForCausalLM, LlamaConfig, {"attention_bias": True, "num_key_value_heads": 4}),
        (MistralForCausalLM, MistralConfig, {}),
        (Qwen2ForCausalLM, Qwen2Config, {}),
        (Qwen3ForCausalLM, Qwen3Config, {}),
    ],
)
@torch.inference_mode()
def test_a_fused_model_computes_what_it_did(
    model_class: Any, config_class: Any, changes: dict[str, Any]
) -> None:
    model = make(model_class, config_class, **changes)
    ids = torch.randint(0, 64, (1, 9), generator=torch.Generator().manual_seed(1))
    expected = model(input_ids=ids).logits
    fuse_layers(model, Products())
    assert layer_types(model) == {FusedLayer}
    torch.testing.assert_close(model(input_ids=ids).logits, expected, rtol=1e-4, atol=1e-4)


def test_a_family_with_another_layout_is_left_as_it_is() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=1, n_head=2))
    before = [type(layer) for layer in model.transformer.h]
    fuse_layers(model, Products())
    assert [type(layer) for layer in model.transformer.h] == before


def test_another_activation_is_left_as_it_is() -> None:
    model = make(LlamaForCausalLM, LlamaConfig, hidden_act="gelu")
    fuse_layers(model, Products())
    assert FusedLayer not in layer_types(model)


class AdaptedLinear(nn.Linear):
    """What an adapter makes of a layer."""


def test_a_model_with_an_adapted_layer_is_left_as_it_is() -> None:
    model = make(LlamaForCausalLM, LlamaConfig)
    model.model.layers[1].self_attn.v_proj = AdaptedLinear(32, 32, bias=False)
    fuse_layers(model, Products())
    assert FusedLayer not in layer_types(model)


def test_a_model_with_a_hook_is_left_as_it_is() -> None:
    model = make(LlamaForCausalLM, LlamaConfig)
    model.model.layers[0].register_forward_hook(lambda module, inputs, output: output)
    fuse_layers(model, Products())
    assert FusedLayer not in layer_types(model)


def test_a_layer_of_a_class_of_its_own_is_left_as_it_is() -> None:
    class OtherLayer(LlamaDecoderLayer):
        """May do more than its parent."""

    model = make(LlamaForCausalLM, LlamaConfig)
    model.model.layers[1] = OtherLayer(model.config, 1)
    fuse_layers(model, Products())
    assert FusedLayer not in layer_types(model)
