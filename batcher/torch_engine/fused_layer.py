"""FusedLayer: a decoder layer of the Llama layout, in a third of its operations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm
from transformers.activations import SiLUActivation
from transformers.models.llama.modeling_llama import LlamaDecoderLayer
from transformers.models.mistral.modeling_mistral import MistralDecoderLayer
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer
from transformers.models.qwen3.modeling_qwen3 import Qwen3DecoderLayer

from batcher.torch_engine.attention import attend
from batcher.torch_engine.linear import Products, can_join

_LAYERS = (LlamaDecoderLayer, MistralDecoderLayer, Qwen2DecoderLayer, Qwen3DecoderLayer)
"""The classes of this layout."""

_SILU = (nn.SiLU, SiLUActivation)


def fuse_layers(model: Any, products: Products) -> None:
    """Replaces the decoder layers where all of them are known to have this layout."""
    body = getattr(model, "model", None)
    layers = getattr(body, "layers", ())
    if body is None or not layers or not all(map(_is_known, layers)):
        return
    body.rotary_emb = SignedRotary(body.rotary_emb)
    for place, layer in enumerate(body.layers):
        body.layers[place] = FusedLayer(layer, products)


def _is_known(layer: Any) -> bool:
    """Its exact class, on plain products: what somebody has put into a model is left alone."""
    if type(layer) not in _LAYERS or layer._forward_hooks or layer._forward_pre_hooks:
        return False
    attention, mlp = layer.self_attn, layer.mlp
    products = ([attention.o_proj], [mlp.gate_proj], [mlp.up_proj], [mlp.down_proj])
    joined = [attention.q_proj, attention.k_proj, attention.v_proj]
    return isinstance(mlp.act_fn, _SILU) and all(map(can_join, (joined, *products)))


class SignedRotary(nn.Module):
    """Cosines and sines [tokens, 1, dim] of positions; sines have the signs of `rotate`."""

    def __init__(self, rotary: nn.Module) -> None:
        super().__init__()
        self._rotary = rotary

    def forward(self, states: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        cosines, sines = self._rotary(states, position_ids=position_ids)
        lower, upper = sines[0].chunk(2, dim=-1)
        return cosines[0][:, None], torch.cat((-lower, upper), dim=-1)[:, None]


class FusedLayer(nn.Module):
    """Queries, keys and values are one product and turned together; sums and gates join theirs."""

    def __init__(self, layer: Any, products: Products) -> None:
        super().__init__()
        attention, mlp = layer.self_attn, layer.mlp
        self._qkv = products.linear([attention.q_proj, attention.k_proj, attention.v_proj])
        self._output = products.linear([attention.o_proj])
        self._gate = products.gate(mlp.gate_proj, mlp.up_proj)
        self._down = products.linear([mlp.down_proj])
        self._attention_norm = RMSNorm(layer.input_layernorm)
        self._mlp_norm = RMSNorm(layer.post_attention_layernorm)
        self._head_norms = _head_norms(attention)
        self._dim: int = attention.head_dim
        self._queries = attention.q_proj.out_features // self._dim
        self._turned = self._queries + attention.k_proj.out_features // self._dim
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            delattr(attention, name)
        self._attention = attention

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        past_key_values: Any,
        attention_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """[1, tokens, width] in and out, as the layer that it replaces."""
        states = hidden_states[0]
        query, key, value = self._project(self._attention_norm(states), *position_embeddings)
        keys, values = past_key_values.update(key, value, self._attention.layer_idx)
        scaling = self._attention.scaling
        attended, _ = attend(
            self._attention, query, keys, values, attention_mask, scaling=scaling, **kwargs
        )
        states = self._output.plus(attended[0].flatten(1), states)
        gated = self._gate(self._mlp_norm(states))
        return self._down.plus(gated, states)[None]

    def _project(
        self, states: Tensor, cosines: Tensor, sines: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each [1, heads, tokens, dim]."""
        heads = self._qkv.forward(states).view(len(states), -1, self._dim)
        turned = heads[:, : self._turned]
        if self._head_norms is not None:
            norm_queries, norm_keys = self._head_norms
            query, key = turned.tensor_split((self._queries,), dim=1)
            turned = torch.cat((norm_queries(query), norm_keys(key)), dim=1)
        turned = rotate(turned, cosines, sines)
        query, key = turned.tensor_split((self._queries,), dim=1)
        value = heads[:, self._turned :]
        return query.transpose(0, 1)[None], key.transpose(0, 1)[None], value.transpose(0, 1)[None]


class RMSNorm:
    """The norm of these families in one operation, where transformers has seven."""

    def __init__(self, norm: Any) -> None:
        self._weight: Tensor = norm.weight.detach()
        self._epsilon: float = norm.variance_epsilon

    def __call__(self, states: Tensor) -> Tensor:
        return rms_norm(states, self._weight.shape, self._weight, self._epsilon)


def rotate(heads: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotary positions: each number is paired with the one half a head away; sines are signed."""
    return torch.addcmul(heads * cosines, heads.roll(heads.shape[-1] // 2, -1), sines)


def _head_norms(attention: Any) -> tuple[RMSNorm, RMSNorm] | None:
    """Qwen3 norms every query and key."""
    if not hasattr(attention, "q_norm"):
        return None
    return RMSNorm(attention.q_norm), RMSNorm(attention.k_norm)
