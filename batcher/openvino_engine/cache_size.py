"""How much of the memory the key-value cache gets, in blocks of tokens."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.core.errors import ModelError
from headrace.core.memory import machine_memory
from headrace.core.settings import Settings, variable

BLOCK_TOKENS = 32
"""What the pipeline gives out at once on a CPU."""

_SHARE = 0.5
"""Of the memory, for a cache whose size nobody named."""


@dataclass(frozen=True, slots=True)
class CacheSize:
    """`tokens` can be promised to requests, wherever they end within their last blocks."""

    blocks: int
    tokens: int


def blocks_of(tokens: int) -> int:
    return -(-tokens // BLOCK_TOKENS)


def cache_size(settings: Settings, token_bytes: int, context_tokens: int) -> CacheSize:
    """Room for all slots to be full, or what `kv_cache_gb` or the memory has room for.

    Memory is used as the cache fills. Raises `ModelError` where not even one full sequence fits.
    """
    row = blocks_of(context_tokens)
    affordable = int(_budget_bytes(settings) // (token_bytes * BLOCK_TOKENS))
    blocks = affordable if settings.kv_cache_gb else min(affordable, settings.max_slots * row)
    if blocks < row:
        needed_gb = row * BLOCK_TOKENS * token_bytes / 1e9
        raise ModelError(
            f"{variable('kv_cache_gb')}: one sequence of {context_tokens} tokens needs"
            f" {needed_gb:.3f} GB of key-value cache"
        )
    promised = max(context_tokens, (blocks - settings.max_slots) * BLOCK_TOKENS)
    if blocks >= settings.max_slots * row:
        promised = settings.max_slots * context_tokens
    return CacheSize(blocks, promised)


def _budget_bytes(settings: Settings) -> float:
    memory = machine_memory()
    if settings.kv_cache_gb is None:
        return memory * _SHARE
    if settings.kv_cache_gb * 1e9 > memory:
        raise ModelError(
            f"{variable('kv_cache_gb')}: {settings.kv_cache_gb:g} GB are more than the"
            f" {memory / 1e9:.1f} GB of this machine"
        )
    return settings.kv_cache_gb * 1e9
