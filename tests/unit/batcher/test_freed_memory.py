from __future__ import annotations

import psutil
import torch

from batcher.torch_engine.freed_memory import give_back

BLOCK, BLOCKS = 16_384, 8_192
"""Floats of a block, 64 KiB: the C library asks the system for larger ones one by one."""


def test_what_was_freed_between_blocks_goes_back_to_the_system() -> None:
    blocks = [torch.ones(BLOCK) for _number in range(BLOCKS)]
    kept = blocks[::64]
    blocks.clear()
    before = psutil.Process().memory_info().rss
    give_back()
    assert before - psutil.Process().memory_info().rss > BLOCKS * BLOCK * 4 / 2
    assert all(bool((block == 1).all()) for block in kept)
