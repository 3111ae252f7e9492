"""What this machine can do at most, as torch measures it: products of matrices, and reading."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

SIDE = 2048
READ_BYTES = 256 * 2**20
REPEATS = 3


@dataclass(frozen=True)
class MachineLimits:
    """GFLOP/s of a product of two square matrices; GB/s of a sum over more than any cache holds."""

    fp32_gflops: float
    bf16_gflops: float
    read_gb_s: float


class LimitMeter:
    """Samples between runs, since the machine's speed drifts; the limits are medians."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._samples: list[MachineLimits] = []

    def sample(self) -> None:
        torch.set_num_threads(self._threads)
        numbers = torch.ones(READ_BYTES // 4)
        self._samples.append(
            MachineLimits(
                _gflops(torch.float32),
                _gflops(torch.bfloat16),
                READ_BYTES / _shortest_s(numbers.sum) / 1e9,
            )
        )

    def limits(self) -> MachineLimits:
        """Raises `statistics.StatisticsError` before the first sample."""
        return MachineLimits(
            *(
                round(statistics.median(getattr(sample, name) for sample in self._samples), 1)
                for name in MachineLimits.__dataclass_fields__
            )
        )


def _gflops(dtype: torch.dtype) -> float:
    left, right = (torch.ones(SIDE, SIDE, dtype=dtype) for _matrix in range(2))
    return 2 * SIDE**3 / _shortest_s(lambda: left @ right) / 1e9


def _shortest_s(act: Callable[[], object]) -> float:
    act()
    times = []
    for _time in range(REPEATS):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return min(times)
