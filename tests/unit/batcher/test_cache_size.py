from __future__ import annotations

from typing import Any

import pytest

from batcher.openvino_engine import cache_size as module
from batcher.openvino_engine.cache_size import CacheSize, cache_size
from headrace.core.errors import ModelError
from headrace.core.settings import load_settings

MEMORY = 32_000_000


@pytest.fixture(autouse=True)
def _a_small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "machine_memory", lambda: MEMORY)


def size(token_bytes: int, context_tokens: int = 320, **overrides: Any) -> CacheSize:
    return cache_size(load_settings(max_slots=4, **overrides), token_bytes, context_tokens)


def test_all_slots_may_be_full() -> None:
    assert size(100) == CacheSize(blocks=40, tokens=4 * 320)


def test_a_context_that_ends_within_a_block_takes_it_whole() -> None:
    assert size(100, context_tokens=321) == CacheSize(blocks=44, tokens=4 * 321)


def test_half_of_the_memory_is_the_most() -> None:
    half = size(20_000)
    assert half.blocks == MEMORY // 2 // (20_000 * 32) == 25
    assert half.tokens == (25 - 4) * 32  # each may leave most of its last block empty


def test_a_named_size_is_filled() -> None:
    assert size(1000, kv_cache_gb=0.016) == CacheSize(blocks=500, tokens=4 * 320)


def test_one_sequence_has_to_fit() -> None:
    with pytest.raises(ModelError, match="HEADRACE_KV_CACHE_GB: one sequence of 320 tokens needs"):
        size(1000, kv_cache_gb=0.0001)


def test_more_than_the_memory_is_refused() -> None:
    with pytest.raises(ModelError, match="HEADRACE_KV_CACHE_GB: 1 GB are more than"):
        size(1000, kv_cache_gb=1)
