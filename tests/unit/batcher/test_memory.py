from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from batcher.torch_engine import memory
from batcher.torch_engine.cache import LayerShape
from batcher.torch_engine.memory import CacheSize, cache_size
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
    """A machine with this much free memory."""

    def set_free(bytes_: int) -> None:
        monkeypatch.setattr(memory, "free_bytes", lambda device: bytes_)

    set_free(1_000_000_000)
    return set_free


def test_every_slot_may_fill_its_context_where_memory_suffices() -> None:
    assert size_of() == CacheSize(slots=8, tokens=8000)


def test_a_bound_leaves_the_slots_but_not_all_their_tokens() -> None:
    assert size_of(kv_cache_gb=0.0025) == CacheSize(slots=8, tokens=2500)


def test_on_a_gpu_a_bound_leaves_fewer_slots() -> None:
    assert size_of("cuda", kv_cache_gb=0.0025) == CacheSize(slots=2, tokens=2000)


def test_little_free_memory_bounds_the_cache_as_well(free: Any) -> None:
    free(5_000_000)
    assert size_of() == CacheSize(slots=8, tokens=4000)


def test_a_cache_without_room_for_one_request_is_refused() -> None:
    with pytest.raises(ModelError, match=r"room for 900 tokens.*HEADRACE_KV_CACHE_GB"):
        size_of(kv_cache_gb=0.0009)


def test_more_than_there_is_is_refused(free: Any) -> None:
    free(2_000_000_000)
    with pytest.raises(ModelError, match=r"HEADRACE_KV_CACHE_GB is 3, but only 2\.00 GB are free"):
        size_of(kv_cache_gb=3)


def test_a_container_s_limit_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert memory._free_in_cgroup(tmp_path) == 2000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._free_in_cgroup(tmp_path) > 10**15
    assert memory._free_in_cgroup(tmp_path / "none") > 10**15


def test_the_machine_has_some_memory() -> None:
    assert 10**8 < memory._free_on_machine() < 10**15
