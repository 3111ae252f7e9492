"""What a run of the benchmark is made of: cold starts that vary, and bounds of the fleet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from headrace.planning.machine import Machine
from headrace.planning.simulator import NO_SPAN, Course, Span

LIMITS = (1, 20)
ALLOWED = 512.0
"""`max_tokens` of every request."""

JITTER = 0.1


def make_course(
    machine: Machine,
    cold_start_s: float,
    first: int,
    seed: int = 0,
    outage: Span = NO_SPAN,
    crashes: Span = NO_SPAN,
) -> Course:
    cold_starts = _varying(cold_start_s, seed)
    return Course(machine, cold_starts, first, LIMITS, ALLOWED, outage, crashes)


def _varying(cold_start_s: float, seed: int) -> Callable[[int], float]:
    """The same for every policy."""

    def draw(number: int) -> float:
        spread = np.random.default_rng([seed, number]).uniform(1 - JITTER, 1 + JITTER)
        return cold_start_s * float(spread)

    return draw
