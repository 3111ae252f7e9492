"""What a load cost and how many of its requests were good, whether it happened or was simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, inf

from headrace.loadtest.quantiles import percentile
from headrace.loadtest.slo import Slo
from headrace.planning.trace import Trace


@dataclass(frozen=True)
class SloScore:
    """`violation_s`: seconds in which a request came that was not good; `changes` of the size.

    None is what nobody knows; a percentile is infinite where so many were never answered.
    """

    attainment: float
    violation_s: int
    p50_s: float
    p95_s: float
    worker_s: float | None
    most_workers: int | None
    changes: int | None


def score(
    trace: Trace,
    e2e_s: Sequence[float],
    ttft_s: Sequence[float | None],
    slo: Slo,
    worker_s: float | None,
    sizes: Sequence[tuple[float, int]],
) -> SloScore:
    """Of at least one request."""
    good = [
        slo.allows(end, first, tokens)
        for end, first, tokens in zip(e2e_s, ttft_s, trace.outputs, strict=True)
    ]
    bad_seconds = {
        floor(at) for at, is_good in zip(trace.arrivals, good, strict=True) if not is_good
    }
    ordered = sorted(e2e_s) or [inf]
    return SloScore(
        attainment=sum(good) / max(1, len(good)),
        violation_s=len(bad_seconds),
        p50_s=percentile(ordered, 50),
        p95_s=percentile(ordered, 95),
        worker_s=worker_s,
        most_workers=max((size for _at, size in sizes), default=None),
        changes=len(sizes) - 1 if sizes else None,
    )
