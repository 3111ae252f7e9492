"""How many tokens the key-value cache may hold on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from batcher.torch_engine.cache import LayerShape
from headrace.core.errors import ModelError
from headrace.core.memory import machine_memory
from headrace.core.settings import Settings, variable

GB = 10**9


@dataclass(frozen=True, slots=True)
class CacheSize:
    """`slots` requests at once, of `tokens` tokens in all."""

    slots: int
    tokens: int


def cache_size(
    settings: Settings, context_tokens: int, shapes: Sequence[LayerShape], model: Any
) -> CacheSize:
    """Raises `ModelError` where not even one request of full length fits.

    On a CPU, memory is taken as slots fill, and many short requests fit where few long ones would.
    On a GPU all of a slot is taken at once, so that there are fewer slots instead.
    """
    token_bytes = sum(shape.numbers for shape in shapes) * model.dtype.itemsize
    affordable = _budget_bytes(settings, model.device) // token_bytes
    tokens = min(settings.max_slots * context_tokens, affordable)
    if tokens < context_tokens:
        raise ModelError(
            f"{variable('kv_cache_gb')}: one sequence of {context_tokens} tokens needs"
            f" {context_tokens * token_bytes / GB:.3f} GB of key-value cache, there is room for"
            f" {tokens} tokens"
        )
    if model.device.type == "cpu":
        return CacheSize(settings.max_slots, tokens)
    slots = tokens // context_tokens
    return CacheSize(slots, slots * context_tokens)


def _budget_bytes(settings: Settings, device: torch.device) -> int:
    memory, share = _memory(device)
    if settings.kv_cache_gb is None:
        return int(memory * share)
    budget = int(settings.kv_cache_gb * GB)
    if budget > memory:
        raise ModelError(
            f"{variable('kv_cache_gb')}: {settings.kv_cache_gb:g} GB are more than the"
            f" {memory / GB:.2f} GB that there are"
        )
    return budget


def _memory(device: torch.device) -> tuple[int, float]:
    """Bytes, and the share of them for a cache whose size nobody named."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0], 0.8  # the weights are in it already
    return machine_memory(), 0.5
