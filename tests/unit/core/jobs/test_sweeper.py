"""Who sweeps, and who leaves it for a while."""

from __future__ import annotations

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.jobs.sweeper import BEAT_S, Sweeper
from headrace.core.types import JobState
from tests.fakes import FakeClock, make_request
from tests.unit.core.jobs.steps import claim_one

LEASE_S = 10.0


class Away:
    """Leases on a Redis that does not answer."""

    def sweep(self) -> None:
        raise RedisConnectionError("away")

    sweep_due = sweep


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def sweeper(queue: JobQueue, leases: Leases, redis: Client, clock: FakeClock) -> Sweeper:
    """Beside a job whose lease ran out."""
    queue.submit(make_request())
    claim_one(queue)
    redis.zadd(keys.LEASES, {"job-1": 1.0})
    return Sweeper(leases, LEASE_S, BEAT_S, clock)


def beat_for(sweeper: Sweeper, clock: FakeClock, seconds: float) -> None:
    for _beat in range(int(seconds / BEAT_S) + 1):
        sweeper.beat()
        clock.sleep(BEAT_S)


def test_a_beat_takes_back_what_ran_out(
    sweeper: Sweeper, queue: JobQueue, clock: FakeClock
) -> None:
    beat_for(sweeper, clock, LEASE_S)

    assert queue.state("job-1") is JobState.QUEUED


def test_a_new_sweeper_leaves_everybody_one_lease_to_renew(
    sweeper: Sweeper, queue: JobQueue
) -> None:
    sweeper.beat()

    assert queue.state("job-1") is JobState.RUNNING


def test_beats_that_redis_does_not_answer_are_an_outage(
    sweeper: Sweeper, queue: JobQueue, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as outage:
        outage.setattr(sweeper, "_leases", Away())
        for _beat in range(30):
            with pytest.raises(RedisConnectionError):
                sweeper.beat()
            clock.sleep(BEAT_S)

    sweeper.beat()
    assert queue.state("job-1") is JobState.RUNNING


def test_after_a_late_beat_everybody_has_one_lease_to_renew(
    sweeper: Sweeper, queue: JobQueue, clock: FakeClock
) -> None:
    clock.sleep(3 * LEASE_S)
    sweeper.beat()
    assert queue.state("job-1") is JobState.RUNNING

    beat_for(sweeper, clock, LEASE_S)
    assert queue.state("job-1") is JobState.QUEUED
