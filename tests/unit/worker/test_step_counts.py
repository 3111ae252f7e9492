"""What a worker counts of its engine's steps."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisError

from headrace.core.connection import Client
from headrace.core.histogram import BATCH_SIZE, STEP
from headrace.core.settings import Settings
from headrace.core.types import EngineStats
from tests.bench import Bench
from tests.fakes import make_request
from worker.step_counts import StepCounts


def test_a_step_counts_its_rows_and_its_seconds() -> None:
    counts = StepCounts()
    counts.turned(0.05, EngineStats(steps=1, rows=3, busy_s=0.04))
    counts.turned(0.07, EngineStats(steps=2, rows=4, busy_s=0.1))

    totals = counts.totals
    assert BATCH_SIZE.sum(totals) == 4
    assert STEP.sum(totals) == 0.1
    assert BATCH_SIZE.cumulated(totals)[-1] == ("+Inf", 2)


def test_the_sums_of_a_step_curve_are_those_of_rows_and_prompt_tokens_of_each_step() -> None:
    counts = StepCounts()
    counts.turned(0.04, EngineStats(steps=1, rows=3, prefill_tokens=10))
    counts.turned(0.06, EngineStats(steps=2, rows=5, prefill_tokens=14))

    sums = {field: count for field, count in counts.totals.items() if field.startswith("steps:")}
    assert sums == {
        **{"steps:n": 2, "steps:r": 3 + 2, "steps:p": 10 + 4, "steps:s": 40_000 + 60_000},
        **{"steps:rr": 9 + 4, "steps:rp": 30 + 8, "steps:pp": 100 + 16},
        **{"steps:rs": 120_000 + 120_000, "steps:ps": 400_000 + 240_000},
    }


def test_steps_that_one_turn_brought_count_as_their_mean() -> None:
    counts = StepCounts()
    counts.turned(0.2, EngineStats(steps=4, rows=12, prefill_tokens=8, busy_s=0.16))

    totals = counts.totals
    assert BATCH_SIZE.cumulated(totals)[-1] == ("+Inf", 4)
    assert (BATCH_SIZE.sum(totals), STEP.sum(totals)) == (12, 0.16)
    assert [totals[f"steps:{name}"] for name in ("n", "r", "rr", "s", "rs")] == [
        *(4, 12, 36),
        *(200_000, 600_000),
    ]


def test_a_turn_that_brought_no_step_counts_nothing() -> None:
    counts = StepCounts()
    counts.turned(0.2, EngineStats())

    assert counts.totals == {}


def test_the_worker_counts_every_step(redis: Client, settings: Settings) -> None:
    bench = Bench(redis, settings)
    bench.submit(make_request("a", max_tokens=3), make_request("b", max_tokens=3))
    bench.turn(3)

    totals = bench.worker.steps.totals
    assert BATCH_SIZE.cumulated(totals)[-1] == ("+Inf", 3)
    assert BATCH_SIZE.sum(totals) == 6


def test_what_a_worker_does_between_steps_is_of_the_step_and_a_redis_that_is_away_is_not(
    redis: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(redis, settings)
    bench.submit(make_request("a", max_tokens=3))
    publish, failures = bench.queue.publish, iter([RedisError("away")])

    def slow(*arguments: Any) -> Any:
        for failure in failures:
            raise failure
        bench.clock.sleep(0.25)
        return publish(*arguments)

    monkeypatch.setattr(bench.queue, "publish", slow)
    bench.turn(1)

    assert bench.worker.steps.totals["steps:s"] == 250_000


def test_nothing_is_counted_where_metrics_are_off(redis: Client, settings: Settings) -> None:
    bench = Bench(redis, settings.model_copy(update={"metrics": False}))
    bench.submit(make_request())
    bench.turn(1)

    assert bench.worker.steps.totals == {}
