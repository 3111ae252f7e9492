"""Reports of load tests that nobody ran, for what is made of reports."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from headrace.loadtest.fleet_watch import Moment, Watched
from headrace.loadtest.load_test import LoadTest
from headrace.loadtest.record import Record, ServerTimes
from headrace.loadtest.report import report
from headrace.loadtest.result import Result
from tests.load import KeepsLevels, a_plan, closed
from tests.unit.loadtest.making import a_record, a_result

SLOTS = 8


def a_report(*results: Result, **changes: Any) -> dict[str, Any]:
    """Of the model `tiny`, unless the changes to the plan say otherwise."""
    loads = [result.load for result in results]
    plan = a_plan("http://127.0.0.1:1/v1", *loads, **{"model": "tiny"} | changes)
    test = LoadTest(plan, KeepsLevels())
    test.results = list(results)
    return report(test)


def a_report_with_a_fleet(seconds: float = 40.0) -> dict[str, Any]:
    """Users of one worker, then of more: what they wait for, in stages and over time."""
    levels = [(1, 1), (5, 1), (15, 1), (30, 2)]
    return a_report(*(_level(number, *each, seconds) for number, each in enumerate(levels)))


def _level(number: int, users: int, workers: int, seconds: float) -> Result:
    records = _served(users, SLOTS * workers, seconds)
    result = a_result(records, load=closed(users), start=0.0, end=seconds)
    moments = [_moment(float(at), records, workers) for at in range(round(seconds))]
    watched = Watched(moments, slots=SLOTS, engine="made up", cold_starts_s=(2.0,))
    return replace(result, watched=watched, began_s=number * (seconds + 5))


def _served(users: int, slots: int, seconds: float) -> list[Record]:
    """A closed loop before so many slots: first come, first served."""
    draw = random.Random(users)
    free, ready, records = [0.0] * slots, [0.0] * users, []
    while (scheduled := heapq.heappop(ready)) < seconds:
        begun = max(scheduled, heapq.heappop(free))
        prefill_s, decode_s = draw.lognormvariate(-3.5, 0.3), draw.lognormvariate(-1.5, 0.4)
        stages = {
            "queue_wait": begun - scheduled,
            "prefill": prefill_s,
            "decode": decode_s,
            "commit": 0.002,
        }
        server = ServerTimes(0.001, stages, float(min(users, slots)))
        e2e_s = server.total_s + 0.003
        records.append(a_record(scheduled, e2e_s, server=server))
        heapq.heappush(free, begun + prefill_s + decode_s)
        heapq.heappush(ready, scheduled + e2e_s)
    return records


def _moment(at: float, records: Sequence[Record], workers: int) -> Moment:
    under_way = [each for each in records if each.scheduled <= at < (each.done or 0.0)]
    running = min(len(under_way), SLOTS * workers)
    starting = 1 if 10 <= at < 14 and workers > 1 else 0
    return Moment(at, len(under_way) - running, running, workers - starting, starting)
