"""Many variants in rounds: each once a round, in turned order, since a machine's speed drifts."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from rich.progress import track

from bench.pairs import console, interval

T = TypeVar("T")


def interleave(
    rounds: int, variants: Mapping[str, Callable[[], T]], title: str
) -> dict[str, list[T]]:
    """Runs all variants once a round, as A B C, C B A, …; what each gave, by round."""
    results: dict[str, list[T]] = {name: [] for name in variants}
    for number in track(range(rounds), title, console=console):
        names = list(variants)
        for name in names if number % 2 == 0 else reversed(names):
            results[name].append(variants[name]())
    return results


def ratio(name: str, upper: Sequence[float], lower: Sequence[float]) -> dict[str, Any]:
    """The median over the rounds of upper / lower as `name`, with its 95 % interval."""
    ratios = [above / below for above, below in zip(upper, lower, strict=True)]
    low, high = interval(ratios)
    return {
        name: round(statistics.median(ratios), 3),
        f"{name}_interval": [round(low, 3), round(high, 3)],
    }
