"""What the scripts count of jobs, and what workers add: everything once."""

from __future__ import annotations

import pytest

from headrace.core.connection import Client
from headrace.core.histogram import E2E, INFERENCE, QUEUE_WAIT, TPOT, TTFT
from headrace.core.jobs import keys
from headrace.core.jobs.counters import Counters
from headrace.core.jobs.handover import Outcome
from headrace.core.jobs.job import Report
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from tests.fakes import make_request
from tests.unit.core.jobs.steps import RESULT, claim_one, publish, succeed


@pytest.fixture
def counters(redis: Client, settings: Settings) -> Counters:
    return Counters(redis, settings)


def observations(counters: Counters) -> dict[str, int]:
    """Histogram -> how many values are in it."""
    counts = counters.read()
    histograms = (E2E, QUEUE_WAIT, INFERENCE, TTFT, TPOT)
    return {each.name: each.cumulated(counts)[-1][1] for each in histograms}


def test_a_job_that_succeeds_is_counted_with_its_tokens_and_times(
    queue: JobQueue, counters: Counters
) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    publish(queue, claim, [1], 1)
    succeed(queue, claim, report=Report(prompt_tokens=5), count=3, token_ids=(2, 3))

    counts = counters.read()
    assert counts["jobs:finished:stop"] == 1
    assert (counts["tokens:input"], counts["tokens:output"]) == (5, 3)
    assert (counts["slo"], counts["slo_good"]) == (1, 1)
    assert set(observations(counters).values()) == {1}
    assert 0 < E2E.sum(counts) < 10


def test_a_result_handed_in_twice_is_counted_once(queue: JobQueue, counters: Counters) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    succeed(queue, claim)
    succeed(queue, claim)

    assert counters.read()["jobs:finished:stop"] == 1


def test_one_token_has_no_time_per_output_token(queue: JobQueue, counters: Counters) -> None:
    queue.submit(make_request())
    succeed(queue, claim_one(queue), count=1)

    assert observations(counters)[TPOT.name] == 0


def test_a_late_job_misses_the_slo(redis: Client, queue: JobQueue, settings: Settings) -> None:
    strict = settings.model_copy(update={"slo_latency_s": 1e-9, "slo_tpot_s": 0.0})
    queue.submit(make_request())
    succeed(JobQueue(redis, strict), claim_one(queue))

    counts = Counters(redis, settings).read()
    assert (counts["slo"], counts.get("slo_good", 0)) == (1, 0)


def test_tokens_lengthen_the_time_that_an_answer_may_take(
    redis: Client, queue: JobQueue, settings: Settings
) -> None:
    generous = settings.model_copy(update={"slo_latency_s": 5.0, "slo_tpot_s": 5.0})
    queue.submit(make_request())
    claim = claim_one(queue)
    publish(queue, claim, [1], 1)
    redis.hincrbyfloat("rq:job:job-1", "hr_accepted", -9.0)  # it was accepted 9 s ago
    redis.hincrbyfloat("rq:job:job-1", "hr_first_token", -6.0)  # and began 3 s later
    succeed(JobQueue(redis, generous), claim, count=2)

    assert Counters(redis, settings).read()["slo_good"] == 1


def test_a_failed_job_is_bad_and_has_no_latency(queue: JobQueue, counters: Counters) -> None:
    queue.submit(make_request())
    succeed(queue, claim_one(queue), result=None, reason="engine_error", error="NaN")

    counts = counters.read()
    assert counts["jobs:failed:engine_error"] == 1
    assert (counts["slo"], counts.get("slo_good", 0)) == (1, 0)
    assert set(observations(counters).values()) == {0}


def test_a_cancelled_job_is_neither_good_nor_bad(queue: JobQueue, counters: Counters) -> None:
    queue.submit(make_request())
    queue.cancel("job-1")

    counts = counters.read()
    assert counts["jobs:canceled:cancelled"] == 1
    assert "slo" not in counts


def test_redeliveries_and_dead_letters_are_counted(
    queue: JobQueue, redis: Client, settings: Settings, counters: Counters
) -> None:
    leases = Leases(redis, settings.model_copy(update={"max_deaths": 2}))
    queue.submit(make_request())
    for _death in range(2):
        claim_one(queue)
        leases.take_back("worker-1")

    counts = counters.read()
    assert counts["redelivered"] == 1
    assert counts["jobs:failed:dead"] == 1
    assert redis.zscore(keys.DEAD, "job-1") > 0


def test_what_a_worker_counted_is_added_once_however_often_it_says_so(counters: Counters) -> None:
    counters.add("a", {"step_seconds:0.1": 2})
    counters.add("a", {"step_seconds:0.1": 2})
    counters.add("a", {"step_seconds:0.1": 5})
    counters.add("b", {"step_seconds:0.1": 1})

    assert counters.read() == {"step_seconds:0.1": 6}


def test_nothing_is_counted_where_metrics_are_off(redis: Client, settings: Settings) -> None:
    queue = JobQueue(redis, settings.model_copy(update={"metrics": False}))
    queue.submit(make_request())
    queue.finish("worker-1", [Outcome(claim_one(queue), Report(), 1, result=RESULT)])

    assert Counters(redis, settings).read() == {}


def test_a_count_that_cannot_be_kept_decides_about_no_job(queue: JobQueue, redis: Client) -> None:
    redis.hset(keys.COUNTS, "jobs:finished:stop", "many")
    queue.submit(make_request())

    assert succeed(queue, claim_one(queue))
    assert redis.xlen(keys.COMPLETIONS) == 1
