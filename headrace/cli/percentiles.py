"""The percentiles that the commands show."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.loadtest.quantiles import percentile

PERCENTS = (50, 95, 99)


def percentiles(ordered: Sequence[float]) -> list[float | None]:
    """Those of `PERCENTS`; None where there are no values."""
    return [percentile(ordered, each) if ordered else None for each in PERCENTS]
