"""Follower: what waiting callers see of jobs that end in unusual ways."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from rq.job import Job as RqJob
from rq.serializers import JSONSerializer

import api.follower
import api.waiters
from api.follower import Follower
from api.waiters import Waiters
from headrace.core.errors import JobFailed, WaitEnded
from headrace.core.events import TokenEvent
from headrace.core.types import JobState
from tests.bench import Bench
from tests.fakes import make_request


@pytest.fixture
def follower(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Follower]:
    monkeypatch.setattr(api.follower, "KEEP_ALIVE_S", 0.05)
    monkeypatch.setattr(api.waiters, "LOOK_AGAIN_S", 0.05)
    waiters = Waiters(bench.queue)
    yield Follower(bench.queue, waiters)
    waiters.close()


def cancel_by_rq(bench: Bench) -> None:
    RqJob.fetch("job-1", connection=bench.redis, serializer=JSONSerializer).cancel()


def test_tokens_come_in_order_and_end_with_the_state(bench: Bench, follower: Follower) -> None:
    bench.submit(make_request(max_tokens=3))
    bench.turn(3)

    seen = [event for event in follower.tokens("job-1") if event]
    assert [event.text for event in seen] == ["h", "e", "l"]
    assert [event.state for event in seen] == [None, None, JobState.SUCCEEDED]


def test_a_reader_can_resume_behind_any_event(bench: Bench, follower: Follower) -> None:
    bench.submit(make_request(max_tokens=3))
    bench.turn(3)
    first, *rest = list(follower.tokens("job-1"))

    assert first is not None
    assert list(follower.tokens("job-1", after=first.place)) == rest


def test_a_reader_is_told_while_nothing_comes(bench: Bench, follower: Follower) -> None:
    bench.submit(make_request())

    assert next(follower.tokens("job-1")) is None


def test_a_stream_ends_when_stock_rq_cancels_its_job(bench: Bench, follower: Follower) -> None:
    bench.submit(make_request())
    stream = follower.tokens("job-1")
    assert next(stream) is None
    cancel_by_rq(bench)

    *_nothing, last = list(itertools.islice(stream, 100))
    assert last is not None
    assert last.state is JobState.CANCELLED


def test_a_wait_ends_when_stock_rq_cancels_its_job(bench: Bench, follower: Follower) -> None:
    bench.submit(make_request())
    rq = threading.Timer(0.1, cancel_by_rq, [bench])
    rq.start()

    with pytest.raises(JobFailed, match="cancelled"):
        follower.result("job-1", timeout_s=60)
    rq.join()


def test_a_wait_whose_time_is_over_names_the_job(bench: Bench, follower: Follower) -> None:
    bench.submit(make_request())

    with pytest.raises(WaitEnded) as raised:
        follower.result("job-1", timeout_s=0.01)
    assert raised.value.job_id == "job-1"


def test_a_stream_of_a_job_that_was_deleted_ends_as_cancelled(
    bench: Bench, follower: Follower
) -> None:
    bench.submit(make_request())
    RqJob.fetch("job-1", connection=bench.redis, serializer=JSONSerializer).delete()

    (last,) = list(itertools.islice(follower.tokens("job-1"), 100))
    assert last is not None
    assert last.state is JobState.CANCELLED


def test_a_stream_waits_for_redis_to_come_back(
    bench: Bench, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(make_request(max_tokens=1))
    bench.turn(1)
    read, failures = api.follower.events.tokens, [RedisConnectionError("away")]

    def read_after_failure(*arguments: Any) -> list[TokenEvent]:
        if failures:
            raise failures.pop()
        return read(*arguments)

    monkeypatch.setattr(api.follower.events, "tokens", read_after_failure)

    seen = [event.text for event in follower.tokens("job-1") if event]
    assert seen == ["h"]


def test_a_caller_whose_redis_stays_away_is_told_that_the_job_goes_on(
    bench: Bench, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(make_request())

    def away(_job_id: str) -> None:
        raise RedisConnectionError("away")

    monkeypatch.setattr(bench.queue, "state", away)
    monkeypatch.setattr(bench.queue, "get", away)

    with pytest.raises(WaitEnded):
        follower.result("job-1", timeout_s=0.01)
