"""Attention as OpenVINO's paged-attention transformation recognises it in a traced graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "headrace_export"
"""What transformers knows `attend` as."""

_UNSUPPORTED = ("softcap", "s_aux", "position_bias")
"""What some models add to the scores: a paged attention would leave it out."""


def attend(
    module: torch.nn.Module,
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """`query` [rows, heads, tokens, dim]; returns [rows, tokens, heads, dim].

    Raises `ValueError` for what it cannot compute.
    """
    unsupported = [name for name in _UNSUPPORTED if kwargs.get(name) is not None]
    if unsupported:
        raise ValueError(f"its attention uses {unsupported[0]}")
    output = scaled_dot_product_attention(
        query,
        _repeated(keys, query),
        _repeated(values, query),
        attn_mask=attention_mask,
        scale=scaling,
    )
    return output.transpose(1, 2).contiguous(), None


def _repeated(states: Tensor, query: Tensor) -> Tensor:
    """Repeats the heads until there are as many as the queries have.

    Sizes are constants of the graph: OpenVINO does not recognise one that is read from the cache.
    """
    heads, dim = int(query.shape[1]), int(states.shape[3])
    groups = heads // int(states.shape[1])
    if groups == 1:
        return states
    repeated = states.unsqueeze(2).expand(-1, -1, groups, -1, -1)
    return repeated.reshape(query.shape[0], heads, -1, dim)


AttentionInterface.register(NAME, attend)
