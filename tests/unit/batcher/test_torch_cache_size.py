from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from batcher.torch_engine.cache import LayerShape
from batcher.torch_engine.cache_size import CacheSize, cache_size
from headrace.core.errors import ModelError
from headrace.core.settings import load_settings

SHAPES = [LayerShape(keys=(5, 10), values=(5, 10))] * 5
"""1,000 bytes a token in bf16."""
CONTEXT_TOKENS = 1000


def size_of(device: str = "cpu", **settings: Any) -> CacheSize:
    model = SimpleNamespace(dtype=torch.bfloat16, device=torch.device(device))
    own = load_settings(**{"max_slots": 8} | settings)
    return cache_size(own, CONTEXT_TOKENS, SHAPES, model)


@pytest.fixture(autouse=True)
def free(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine, and a GPU, with this much memory."""

    def set_free(bytes_: int) -> None:
        monkeypatch.setattr("batcher.torch_engine.cache_size.machine_memory", lambda: bytes_)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (bytes_, bytes_))

    set_free(1_000_000_000)
    return set_free


def test_every_slot_may_fill_its_context_where_memory_suffices() -> None:
    assert size_of() == CacheSize(slots=8, tokens=8000)


def test_a_bound_leaves_the_slots_but_not_all_their_tokens() -> None:
    assert size_of(kv_cache_gb=0.0025) == CacheSize(slots=8, tokens=2500)


def test_on_a_gpu_a_bound_leaves_fewer_slots() -> None:
    assert size_of("cuda", kv_cache_gb=0.0025) == CacheSize(slots=2, tokens=2000)


def test_little_memory_bounds_the_cache_as_well(free: Any) -> None:
    free(5_000_000)
    assert size_of() == CacheSize(slots=8, tokens=2500)
    assert size_of("cuda") == CacheSize(slots=4, tokens=4000)


def test_a_cache_without_room_for_one_request_is_refused() -> None:
    with pytest.raises(ModelError, match=r"HEADRACE_KV_CACHE_GB.*1000 tokens.*room for 900"):
        size_of(kv_cache_gb=0.0009)


def test_more_than_there_is_is_refused(free: Any) -> None:
    free(2_000_000_000)
    with pytest.raises(ModelError, match=r"HEADRACE_KV_CACHE_GB: 3 GB are more than the 2\.00 GB"):
        size_of(kv_cache_gb=3)
