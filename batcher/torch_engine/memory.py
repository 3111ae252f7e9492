"""How many tokens the key-value cache may hold on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from batcher.torch_engine.cache import LayerShape
from headrace.core.errors import ModelError
from headrace.core.settings import Settings

GB = 10**9
CACHE_SHARE = 0.8
"""Of the free memory: the forward needs some for itself."""

CGROUP = Path("/sys/fs/cgroup")


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
    free = free_bytes(model.device)
    wanted = settings.max_slots * context_tokens
    tokens = min(wanted, _budget_bytes(settings, free) // token_bytes)
    if tokens < context_tokens:
        raise ModelError(
            f"the key-value cache has room for {tokens} tokens, fewer than the context of"
            f" {context_tokens} ({context_tokens * token_bytes / GB:.2f} GB; {free / GB:.2f} GB are"
            " free): change HEADRACE_KV_CACHE_GB or HEADRACE_MAX_CONTEXT_TOKENS"
        )
    if model.device.type == "cpu":
        return CacheSize(settings.max_slots, tokens)
    slots = tokens // context_tokens
    return CacheSize(slots, slots * context_tokens)


def free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(_free_on_machine(), _free_in_cgroup())


def _budget_bytes(settings: Settings, free: int) -> int:
    if settings.kv_cache_gb is None:
        return int(free * CACHE_SHARE)
    budget = int(settings.kv_cache_gb * GB)
    if budget > free:
        raise ModelError(
            f"HEADRACE_KV_CACHE_GB is {settings.kv_cache_gb:g},"
            f" but only {free / GB:.2f} GB are free"
        )
    return budget


def _free_on_machine() -> int:
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux: all there is
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _free_in_cgroup(folder: Path = CGROUP) -> int:
    """What a container's limit leaves; cgroup v2."""
    try:
        limit = int((folder / "memory.max").read_text())
        return max(0, limit - int((folder / "memory.current").read_text()))
    except (OSError, ValueError):  # no cgroup v2, or `max`
        return 2**63
