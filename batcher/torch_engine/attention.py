"""Attention of one forward's tokens to the slots of the cache, as its layout says."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from batcher.torch_engine.layout import Layout, Segment, Span

NAME = "headrace_slots"
"""What transformers knows `attend` as."""

_UNSUPPORTED = ("softcap", "s_aux", "position_bias")
"""What some models add to the scores; left out, their answers would be wrong without a word."""


def attend(
    module: torch.nn.Module,
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    attention_mask: Tensor | None,
    layout: Layout | None = None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """`query` [1, heads, tokens, dim]; the buffers of `SlotCache`. Returns [1, tokens, heads, dim].

    Zeros for tokens that the layout does not know: they are padding.
    Without a layout it is transformers' own sdpa. Raises `ValueError` for what it cannot compute.
    """
    unsupported = [name for name in _UNSUPPORTED if kwargs.get(name) is not None]
    if unsupported:
        raise ValueError(f"its attention uses {unsupported[0]}")
    if layout is None:
        return sdpa_attention_forward(
            module, query, keys, values, attention_mask, scaling=scaling, **kwargs
        )
    tokens = query[0].transpose(0, 1)
    parts = [_decode(tokens, keys, values, span, layout.mask, scaling) for span in layout.spans]
    parts += [_prefill(tokens, keys, values, segment, scaling) for segment in layout.segments]
    padding = len(tokens) - sum(map(len, parts))
    if padding:
        parts.append(tokens.new_zeros(padding, *parts[0].shape[1:]))
    return (parts[0] if len(parts) == 1 else torch.cat(parts))[None], None


def _decode(
    tokens: Tensor,
    keys: Tensor,
    values: Tensor,
    span: Span,
    mask: Tensor | None,
    scaling: float | None,
) -> Tensor:
    """Queries that share a key-value head stand in for tokens of it: nothing is repeated."""
    assert mask is not None
    rows, slots = slice(span.start, span.stop), slice(span.slot, span.slot + span.rows)
    output = scaled_dot_product_attention(
        tokens[rows].reshape(span.rows, keys.shape[2], -1, tokens.shape[-1]),
        keys[slots, : span.length].transpose(1, 2),
        values[slots, : span.length].transpose(1, 2),
        attn_mask=mask[rows, :, :, : span.length],
        scale=scaling,
    )
    return output.flatten(1, 2)


def _prefill(
    tokens: Tensor, keys: Tensor, values: Tensor, segment: Segment, scaling: float | None
) -> Tensor:
    queries = tokens[segment.start : segment.stop]
    output = scaled_dot_product_attention(
        pad(queries, (0, 0, 0, 0, 0, segment.padding)).transpose(0, 1)[None],
        keys[segment.slot, : segment.length].transpose(0, 1)[None],
        values[segment.slot, : segment.length].transpose(0, 1)[None],
        attn_mask=segment.mask,
        is_causal=segment.mask is None,
        scale=scaling,
        enable_gqa=tokens.shape[1] != keys.shape[2],
    )
    return output[0].transpose(0, 1)[: len(queries)]


AttentionInterface.register(NAME, attend)
