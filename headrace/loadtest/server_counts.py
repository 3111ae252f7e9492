"""The server's own count of its answers, to be held beside ours."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping

from prometheus_client.parser import text_string_to_metric_families

from headrace.loadtest.record import Record
from headrace.loadtest.target import Target

METRIC = "headrace_requests_total"
UNSURE = {"timeout", "connection"}
"""Errors after which the server may or may not have counted."""

TRIES, PAUSE_S = 20, 0.1
"""An answer may be counted a moment after it was read."""

Counts = Mapping[str, int]


async def read_counts(target: Target, route: str) -> Counts | None:
    """Answers so far by status code; None where the server has no such page."""
    page = await target.text("/metrics")
    return None if page is None else parse_counts(page, route)


async def read_increase(
    target: Target, route: str, before: Counts | None, expected: int
) -> Counts | None:
    """What was added to `before`, once it is as much as `expected` or does not get there."""
    for _try in range(TRIES):
        after = await read_counts(target, route)
        if not after or before is None:
            return None
        increase = {code: after[code] - before.get(code, 0) for code in after}
        if sum(increase.values()) >= expected:
            break
        await asyncio.sleep(PAUSE_S)
    return {code: count for code, count in increase.items() if count}


def parse_counts(page: str, route: str) -> Counts | None:
    """Sums over all other labels; where methods are told apart, POST alone."""
    counts: Counter[str] = Counter()
    try:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                labels = sample.labels
                is_ours = sample.name == METRIC and labels.get("route") == route
                if is_ours and labels.get("method", "POST") == "POST":
                    counts[labels["code"]] += int(sample.value)
    except (ValueError, LookupError, OverflowError):
        return None
    return dict(counts)


def unsure(records: Iterable[Record]) -> int:
    """How many of our requests the server may count yet, or has counted without our knowing."""
    return sum(record.error in UNSURE for record in records)


def own_counts(records: Iterable[Record]) -> Counts:
    """Answers that we are sure of, by status code."""
    statuses = (record.status for record in records if record.error not in UNSURE)
    return dict(Counter(str(status) for status in statuses if status is not None))
