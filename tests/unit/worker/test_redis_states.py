"""A worker whose Redis refuses its calls for a while: it waits, and nobody has died."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from redis.exceptions import ReadOnlyError, RedisError

from headrace.core.clock import SystemClock
from headrace.core.connection import Client
from headrace.core.jobs import keys, rq_adapter
from headrace.core.settings import Settings
from headrace.core.types import JobState, Room
from tests.bench import Bench
from tests.fakes import make_request
from tests.waiting import eventually
from worker.insistence import insist

State = Callable[[Client], None]
STATES: dict[str, tuple[State, State]] = {
    "replica": (
        lambda redis: redis.replicaof("127.0.0.1", 1),
        lambda redis: redis.replicaof("NO", "ONE"),
    ),
    "too few replicas": (
        lambda redis: redis.config_set("min-replicas-to-write", 1),
        lambda redis: redis.config_set("min-replicas-to-write", 0),
    ),
    "scripts forbidden": (
        lambda redis: redis.execute_command("ACL SETUSER default -evalsha"),
        lambda redis: redis.execute_command("ACL SETUSER default +evalsha"),
    ),
    "blocking forbidden": (
        lambda redis: redis.execute_command("ACL SETUSER default -blpop"),
        lambda redis: redis.execute_command("ACL SETUSER default +blpop"),
    ),
}


@pytest.fixture
def bench(redis: Client, settings: Settings) -> Bench:
    return Bench(redis, settings, clock=SystemClock())


@contextmanager
def state(redis: Client, name: str) -> Iterator[None]:
    begin, end = STATES[name]
    begin(redis)
    try:
        yield
    finally:
        end(redis)


def died(redis: Client, job_id: str) -> bool:
    """Whether a worker's death is charged to the job."""
    return bool(redis.hexists(rq_adapter.job_key(job_id), "hr_deaths"))


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("tokens", [0, 100])
def test_a_worker_waits_idle_or_busy_and_goes_on(
    bench: Bench, redis: Client, name: str, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(bench.worker, "_note_wait", waits.append)
    if tokens:
        bench.submit(make_request(max_tokens=tokens))
        bench.turn(2)
    with state(redis, name), bench.serving():
        eventually(lambda: waits)
        STATES[name][1](redis)
        bench.submit(make_request("next"))
        eventually(lambda: bench.state("next") is JobState.SUCCEEDED)
        if tokens:
            eventually(lambda: bench.state() is JobState.SUCCEEDED)
    assert bench.queue.get("next").attempts == 1
    assert not died(redis, "job-1") and not died(redis, "next")


def test_a_job_of_an_older_data_set_that_its_worker_has_ended_runs_again_without_a_death(
    bench: Bench, redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The master that knew of its result is gone: the new one still holds the lease."""
    bench.submit(make_request("ended"))
    bench.queue.claim(bench.worker.name, Room(1, 1000), card_hash=bench.worker._card_hash)
    assert not bench.worker.running
    claim, failures = bench.queue.claim, [ReadOnlyError("", status_code="READONLY")]

    def claim_of_a_failover(*arguments: object, **named: object) -> object:
        if failures:
            raise failures.pop()
        return claim(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.queue, "claim", claim_of_a_failover)
    while bench.state("ended") is not JobState.SUCCEEDED:
        bench.turn(1)

    assert not died(redis, "ended")


def test_a_worker_that_is_stopped_while_redis_is_away_ends_as_drained(
    bench: Bench, redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.batch_worker.GIVE_BACK_S", 0.3)
    bench.worker.settings = bench.worker.settings.model_copy(update={"drain_s": 0.2})
    monkeypatch.setattr(bench.worker, "_install_signal_handlers", lambda: None)
    bench.submit(make_request(max_tokens=100))
    bench.turn(1)
    with state(redis, "replica"):
        bench.worker.request_stop(signal.SIGTERM, None)
        bench.worker.run()

    assert redis.zcard(keys.LEASES) == 1  # nobody could give it back
    assert not died(redis, "job-1")


def test_a_worker_that_is_stopped_gives_back_as_soon_as_redis_is_there_again(
    bench: Bench, redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.worker, "_install_signal_handlers", lambda: None)
    bench.submit(make_request(max_tokens=100))
    bench.turn(1)
    release, failures = bench.leases.release, [ReadOnlyError("", status_code="READONLY")] * 3

    def release_late(claims: object) -> int:
        if failures:
            raise failures.pop()
        return release(claims)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.leases, "release", release_late)
    for _signal in range(2):
        bench.worker.request_stop(signal.SIGTERM, None)
    bench.worker.run()

    assert bench.state() is JobState.QUEUED
    assert not died(redis, "job-1")


def test_an_error_of_the_call_is_raised_at_once() -> None:
    def call() -> None:
        raise RedisError("nonsense")

    with pytest.raises(RedisError, match="nonsense"):
        insist(call, SystemClock())
