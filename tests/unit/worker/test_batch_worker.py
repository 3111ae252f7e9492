"""BatchWorker with a simulated engine on a real server, one turn of its loop at a time."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq import Queue, Worker
from rq.serializers import JSONSerializer
from structlog.testing import capture_logs

from batcher.admission import MicroBatchAdmission
from batcher.simulated import SimulatedEngine
from headrace.core import events
from headrace.core.connection import Client
from headrace.core.drain_signal import DRAIN
from headrace.core.jobs import keys
from headrace.core.jobs.handover import Finished, Outcome
from headrace.core.settings import Settings
from headrace.core.types import Delta, JobState, Sampling
from tests.bench import Bench
from tests.fakes import CARD, make_request
from worker.engine_port import LocalEngine


@pytest.fixture
def bench(redis: Client, settings: Settings) -> Bench:
    return Bench(redis, settings)


def test_waiting_jobs_run_together_and_finish(bench: Bench) -> None:
    bench.submit(make_request("a", max_tokens=2), make_request("b", max_tokens=2))

    bench.turn(2)

    for name in "ab":
        job = bench.queue.get(name)
        assert job.state is JobState.SUCCEEDED
        assert job.result is not None
        assert (job.result["text"], job.result["finish_reason"]) == ("he", "length")
        assert job.result["usage"]["completion_tokens"] == 2
        assert job.report is not None
        assert job.report.batch_size == 2


def test_a_job_joins_those_that_run_already(bench: Bench) -> None:
    bench.submit(make_request("first", max_tokens=3))
    bench.turn(1)
    bench.submit(make_request("second", max_tokens=3))
    bench.turn(1)

    assert set(bench.worker.running) == {"first", "second"}


def test_the_stream_and_the_result_say_the_same(bench: Bench) -> None:
    bench.submit(make_request(max_tokens=4))
    bench.turn(4)

    result = bench.queue.get("job-1").result
    assert result is not None
    assert bench.text() == result["text"] == "hell"


def test_the_first_token_is_published_at_once_and_later_ones_together(
    redis: Client, settings: Settings
) -> None:
    bench = Bench(redis, settings, publish_interval_ms=50)
    bench.submit(make_request(max_tokens=10))

    bench.turn(3)
    assert bench.text() == "h"
    bench.clock.sleep(0.06)
    bench.turn(1)
    assert bench.text() == "hell"


def stream_two_tokens_and_die(redis: Client, settings: Settings, **changes: Any) -> None:
    first = Bench(redis, settings)
    first.submit(make_request(**{"max_tokens": 5} | changes))
    first.turn(2)
    first.leases.take_back("worker-1")


def test_another_worker_continues_behind_the_published_tokens(
    redis: Client, settings: Settings
) -> None:
    stream_two_tokens_and_die(redis, settings)
    second = Bench(redis, settings, "worker-2")
    second.turn(3)

    job = second.queue.get("job-1")
    assert job.state is JobState.SUCCEEDED
    assert (job.attempts, second.text()) == (2, "hello")
    assert job.result is not None
    assert job.result["text"] == "hello"
    assert job.result["usage"]["completion_tokens"] == 5


def test_logprobs_go_on_where_another_worker_continues(redis: Client, settings: Settings) -> None:
    rules = Sampling(max_tokens=5, temperature=0.0, logprobs=1)
    stream_two_tokens_and_die(redis, settings, sampling=rules)
    second = Bench(redis, settings, "worker-2")
    second.turn(3)

    result = second.queue.get("job-1").result
    assert result is not None
    assert result["logprobs"] == [[i, 0.0, [[i, 0.0]]] for i in CARD.tokenize("hello")]
    streamed = [entry for event in events.tokens(redis, "job-1") for entry in event.logprobs]
    assert [entry.encode() for entry in streamed] == result["logprobs"]


def test_a_worker_that_lost_its_job_drops_it_at_the_next_publish(bench: Bench) -> None:
    bench.submit(make_request(max_tokens=50))
    bench.turn(1)
    bench.queue.cancel("job-1")
    bench.turn(1)

    assert bench.worker.running == {}
    assert bench.engine.is_idle
    assert bench.state() is JobState.CANCELLED


def test_a_foreign_job_is_failed_and_its_function_is_never_imported(bench: Bench) -> None:
    queue = Queue("headrace-default", connection=bench.redis, serializer=JSONSerializer)
    foreign = queue.enqueue("antigravity.geohash")
    bench.turn(1)

    foreign.refresh()
    assert foreign.is_failed
    assert foreign.latest_result() is not None


def test_a_job_too_large_for_any_worker_is_failed_and_does_not_block_the_queue(
    bench: Bench,
) -> None:
    bench.submit(make_request("good", max_tokens=2), make_request("large", max_tokens=100_000))
    bench.submit(make_request("next", max_tokens=2))
    bench.turn(5)

    assert bench.state("good") is JobState.SUCCEEDED
    assert bench.state("large") is JobState.FAILED
    assert bench.state("next") is JobState.SUCCEEDED


def test_a_job_past_its_deadline_ends_while_it_runs(bench: Bench) -> None:
    bench.submit(make_request(max_tokens=100, deadline_s=60.0))
    bench.turn(1)
    bench.clock.sleep(61)
    bench.turn(1)

    assert bench.state() is JobState.EXPIRED
    assert bench.engine.is_idle


def test_a_job_that_runs_too_long_is_failed(bench: Bench) -> None:
    bench.submit(make_request(max_tokens=100))
    bench.turn(1)
    bench.clock.sleep(601)
    bench.turn(1)

    job = bench.queue.get("job-1")
    assert (job.state, job.error) == (JobState.FAILED, "it ran longer than 600 s")


class FailingEngine(SimulatedEngine):
    """Breaks as a whole, as an engine does that runs out of memory."""

    def step(self) -> list[Delta]:
        raise MemoryError("no more")


def test_a_worker_whose_engine_breaks_leaves_its_jobs_to_others(
    bench: Bench, settings: Settings
) -> None:
    bench.worker.engine = LocalEngine(FailingEngine(settings, CARD))
    bench.submit(make_request())
    bench.worker.start()

    with pytest.raises(MemoryError):
        bench.worker.run()
    assert bench.state() is JobState.QUEUED


@pytest.fixture
def _signals() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, DRAIN)
    handlers = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals")
def test_a_draining_worker_finishes_what_runs_and_takes_no_more(bench: Bench) -> None:
    bench.submit(make_request("runs", max_tokens=5))
    bench.worker.start()
    bench.turn(1)
    bench.submit(make_request("waits"))

    bench.worker.request_stop(signal.SIGTERM, None)
    bench.worker.run()

    assert bench.state("runs") is JobState.SUCCEEDED
    assert bench.state("waits") is JobState.QUEUED
    assert Worker.all(connection=bench.redis) == []


@pytest.mark.usefixtures("_signals")
def test_a_second_signal_gives_the_jobs_back_at_once(bench: Bench) -> None:
    bench.submit(make_request(max_tokens=100))
    bench.worker.start()
    bench.turn(1)

    bench.worker.request_stop(signal.SIGTERM, None)
    bench.worker.request_stop(signal.SIGTERM, None)
    bench.worker.run()

    assert bench.state() is JobState.QUEUED
    assert bench.redis.zcard(keys.LEASES) == 0


def test_a_supervisors_request_behind_a_service_managers_is_no_second_one(bench: Bench) -> None:
    bench.submit(make_request(max_tokens=5))
    bench.turn(1)
    bench.worker.request_stop(signal.SIGTERM, None)
    for _again in range(2):
        bench.worker.request_drain(DRAIN, None)

    assert not bench.worker._has_drained()


def test_a_signal_before_redis_has_answered_counts_no_job_that_has_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looked into Redis saw that it runs nothing, and ended it for that."""
    bench.submit(make_request("ends", max_tokens=1))
    bench.submit(make_request("goes on", max_tokens=2))
    finish = bench.queue.finish

    def finish_and_be_told(
        worker: str, outcomes: Sequence[Outcome], late_s: float
    ) -> list[Finished]:
        finished = finish(worker, outcomes, late_s)
        bench.worker.request_stop(signal.SIGTERM, None)
        return finished

    monkeypatch.setattr(bench.queue, "finish", finish_and_be_told)
    with capture_logs() as lines:
        bench.turn(2)

    drains = [line["running"] for line in lines if line["event"] == "worker drains"]
    assert drains == [1, 0]


def test_a_result_is_handed_in_even_if_redis_was_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(make_request(max_tokens=1))
    finish, failures = (
        bench.queue.finish,
        [
            RedisConnectionError("gone"),
            RedisTimeoutError("slow"),
            OutOfMemoryError("full", status_code="OOM"),
        ],
    )

    def finish_after_failures(
        worker: str, outcomes: Sequence[Outcome], late_s: float
    ) -> list[Finished]:
        if failures:
            raise failures.pop()
        return finish(worker, outcomes, late_s)

    monkeypatch.setattr(bench.queue, "finish", finish_after_failures)
    bench.turn(1)

    assert bench.state() is JobState.SUCCEEDED


def test_a_micro_batch_waits_for_mates_and_then_runs_to_its_end(
    redis: Client, settings: Settings
) -> None:
    bench = Bench(redis, settings)
    bench.worker._admission = MicroBatchAdmission(wait_s=0.5, clock=bench.clock)
    bench.submit(make_request("a", max_tokens=2))
    bench.turn(1)
    bench.submit(make_request("b", max_tokens=2))
    bench.clock.sleep(0.5)
    bench.turn(1)
    bench.submit(make_request("late", max_tokens=2))
    bench.turn(1)

    assert [bench.state(name) for name in ("a", "b")] == [JobState.SUCCEEDED] * 2
    assert bench.state("late") is JobState.QUEUED


@pytest.mark.parametrize("payload", [5, [1], {"prompt_ids": ["a"]}, {}])
def test_a_malformed_payload_under_our_label_is_failed(bench: Bench, payload: object) -> None:
    good = make_request().encode()
    arguments = good | payload if isinstance(payload, dict) else payload
    queue = Queue("headrace-default", connection=bench.redis, serializer=JSONSerializer)
    version = {} if payload else {"version": 99}
    job = queue.enqueue(
        "headrace.generate", arguments | version if isinstance(arguments, dict) else arguments
    )
    bench.turn(1)

    assert bench.state(job.id) is JobState.FAILED
    assert bench.worker.running == {}


def test_a_long_wait_for_batch_mates_is_cut_short_by_the_server_and_goes_on(
    redis: Client, settings: Settings
) -> None:
    bench = Bench(redis, settings)
    bench.worker._admission = MicroBatchAdmission(wait_s=10.0, clock=bench.clock)
    bench.submit(make_request(max_tokens=1))
    bench.redis.lpush(keys.DOORBELL, "1")
    bench.turn(1)
    assert bench.state() is JobState.RUNNING
    bench.clock.sleep(10)
    bench.turn(1)
    assert bench.state() is JobState.SUCCEEDED


def test_a_worker_that_lost_its_only_job_is_shown_as_idle(bench: Bench) -> None:
    bench.worker.start()
    bench.submit(make_request(max_tokens=50))
    bench.turn(1)
    bench.queue.cancel("job-1")
    bench.turn(1)

    (shown,) = Worker.all(connection=bench.redis)
    assert shown.get_state() == "idle"
    bench.worker.teardown()
