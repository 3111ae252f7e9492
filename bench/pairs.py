"""Pairs of runs in alternating order, since the speed of a shared machine drifts."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")
console = Console(stderr=True)


def alternate(
    pairs: int, first: Callable[[], T], second: Callable[[], T]
) -> tuple[list[T], list[T]]:
    """Runs both once a pair, as A B B A A B …; returns what each gave, in order of the pairs."""
    firsts: list[T] = []
    seconds: list[T] = []
    for pair in track(range(pairs), "pairs", console=console):
        runs = [(first, firsts), (second, seconds)]
        for run, results in runs if pair % 2 == 0 else reversed(runs):
            results.append(run())
    return firsts, seconds


def interval(values: Sequence[float], resamples: int = 10_000) -> tuple[float, float]:
    """Bootstrap 95 % interval of the median."""
    draw = random.Random(0)
    medians = sorted(
        statistics.median(draw.choices(values, k=len(values))) for _ in range(resamples)
    )
    return medians[int(0.025 * resamples)], medians[int(0.975 * resamples)]
