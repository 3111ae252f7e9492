"""Attention over slots of very different lengths, without all paying for the longest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

NAME = "headrace_spans"
"""What transformers knows `attend` as."""

_CALL_TOKENS = 400
"""One more call of the kernel takes about as long as attending to this many tokens of a row."""


@dataclass(frozen=True, slots=True)
class Span:
    """The rows [start, stop) attend to the first `length` tokens of their slots."""

    start: int
    stop: int
    length: int

    @property
    def rows(self) -> int:
        return self.stop - self.start


def spans_of(lengths: Sequence[int]) -> list[Span]:
    """Cuts rows of these lengths into runs, where a cut saves more tokens than a call costs."""
    spans = [Span(0, 1, lengths[0])]
    for row, length in enumerate(lengths[1:], start=1):
        last = spans[-1]
        joined = Span(last.start, row + 1, max(last.length, length))
        apart = last.rows * last.length + length + _CALL_TOKENS
        if joined.rows * joined.length <= apart:
            spans[-1] = joined
        else:
            spans.append(Span(row, row + 1, length))
    return spans


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    spans: Sequence[Span] = (),
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """sdpa attention, span by span where the forward was given `spans` of its rows."""
    if len(spans) < 2 or attention_mask is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    parts = [
        sdpa_attention_forward(
            module,
            query[span.start : span.stop],
            key[span.start : span.stop, :, : span.length],
            value[span.start : span.stop, :, : span.length],
            attention_mask[span.start : span.stop, :, :, : span.length],
            **kwargs,
        )[0]
        for span in spans
    ]
    return torch.cat(parts), None


AttentionInterface.register(NAME, attend)
