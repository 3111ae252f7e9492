"""Canaries on a real queue, with a worker or without."""

from __future__ import annotations

import math

import pytest

from batcher.simulated import SimulatedEngine
from headrace.core import events
from headrace.core.card_store import CardStore
from headrace.core.clock import SystemClock
from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from headrace.core.types import CANARY_TENANT
from headrace.monitor.canary import Canary
from tests.bench import Bench
from tests.fakes import make_card, make_request
from worker.engine_port import LocalEngine


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"slo_latency_s": 0.3})


@pytest.fixture
def canary(redis: Client, settings: Settings) -> Canary:
    return Canary(JobQueue(redis, settings), CardStore(redis), settings, SystemClock())


def test_a_canary_is_good_where_a_worker_answers_in_time(
    canary: Canary, redis: Client, settings: Settings
) -> None:
    with Bench(redis, settings, clock=SystemClock()).serving():
        flight = canary.fly()

    assert flight is not None
    assert flight.outcome == "good"
    assert flight.ttft_s < 0.3


def test_an_overdue_canary_is_late_before_it_ends_and_leaves_nothing_behind(
    canary: Canary, redis: Client, settings: Settings
) -> None:
    bench = Bench(redis, settings)
    flight = canary.fly()

    assert flight is not None
    assert flight.outcome == "late"
    assert 0.3 <= flight.ttft_s < 1.0
    assert bench.queue.waiting() == 0
    assert not redis.exists(keys.unfinished(CANARY_TENANT))


def test_a_canary_is_neither_counted_nor_listed_nor_in_the_log(
    canary: Canary, redis: Client, settings: Settings
) -> None:
    bench = Bench(redis, settings, clock=SystemClock())
    with bench.serving():
        canary.fly()
        bench.submit(make_request("a-users"))
        while not bench.queue.get("a-users").state.is_terminal:
            pass

    counts = bench.counters.read()
    assert counts["accepted"] == counts["slo"] == 1
    assert counts["tokens:accepted"] == make_request().cost_tokens
    assert [each.job_id for each in events.completions(redis, 10)] == ["a-users"]
    jobs, _oldest = bench.queue.listed(math.inf, 10)
    assert [job_id for _at, job_id, _state in jobs] == ["a-users"]


def test_a_canary_that_ends_without_a_token_has_failed(
    canary: Canary, redis: Client, settings: Settings
) -> None:
    bench = Bench(redis, settings, clock=SystemClock())
    bench.worker.engine = LocalEngine(SimulatedEngine(settings, make_card(context_tokens=1)))
    with bench.serving():
        flight = canary.fly()

    assert flight is not None
    assert flight.outcome == "failed"


def test_none_flies_before_the_first_worker_or_into_a_full_queue(
    canary: Canary, redis: Client, settings: Settings
) -> None:
    assert canary.fly() is None
    full = settings.model_copy(update={"queue_max_jobs": 1})
    Bench(redis, full).submit(make_request())
    canary = Canary(JobQueue(redis, full), CardStore(redis), full, SystemClock())

    assert canary.fly() is None
