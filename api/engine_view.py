"""Renders what the live workers' engines are, and how truly they answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from api.openai_answers import EngineView
from headrace.core.fidelity import Fidelity
from headrace.core.roster import WorkerState

UNKNOWN = Fidelity("unknown")
"""Of a worker that reports none: a simulated engine's, or that of an earlier version."""


def engines_json(workers: Sequence[WorkerState]) -> list[EngineView]:
    """One entry for each engine and fidelity, with the number of workers that have it."""
    numbers = Counter((worker.engine, worker.fidelity or UNKNOWN) for worker in workers)
    return [
        {
            "engine": engine,
            "dtype": fidelity.dtype,
            "kl": fidelity.kl,
            "top1": fidelity.top1,
            "perplexity_ratio": fidelity.perplexity_ratio,
            "workers": number,
        }
        for (engine, fidelity), number in numbers.items()
    ]
