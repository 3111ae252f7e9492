"""Recorded loads as a test wants them."""

from __future__ import annotations

from typing import Any

from headrace.core.step_sums import StepSums
from headrace.planning.recording import Recording
from headrace.planning.trace import Trace

STEP_S = 0.1


def steps(count: int = 100, step_s: float = STEP_S) -> StepSums:
    """Of steps that all take as long, whatever their rows."""
    total = StepSums()
    for number in range(count):
        rows = 1 + number % 4
        total = total.plus(
            StepSums(1, rows, 0, step_s, rows * rows, 0, 0, rows * step_s, 0),
        )
    return total


def a_recording(count: int = 100, gap_s: float = 0.5, **changes: Any) -> Recording:
    """A request of ten tokens every `gap_s`, each answered after a second, by two workers."""
    at = [number * gap_s for number in range(count)]
    fields: dict[str, Any] = {
        "source": "a test",
        "trace": Trace(at, [16.0] * count, [10.0] * count, count * gap_s),
        "e2e_s": [1.0] * count,
        "ttft_s": [0.1] * count,
        "sizes": [(0.0, 2)],
        "steps": steps(),
        "slots": 4,
        "cold_starts_s": [2.0],
    }
    return Recording(**fields | changes)
