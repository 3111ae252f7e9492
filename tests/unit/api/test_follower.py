"""Follower: what waiting callers see of jobs that end in unusual ways."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from rq.job import Job as RqJob
from rq.serializers import JSONSerializer

import api.follower
import api.waiters
from api.follower import Batch, Follower
from api.inbox import News
from api.waiters import Waiters
from headrace.core import events
from headrace.core.errors import JobFailed, WaitEnded
from headrace.core.events import START, TokenEvent
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


def read(follower: Follower, job_id: str = "job-1", after: str = START) -> list[TokenEvent]:
    """A whole stream."""
    return [event for batch in follower.tokens([job_id], after) for _place, event in batch]


def test_tokens_come_in_order_and_end_with_the_state(bench: Bench, follower: Follower) -> None:
    bench.submit(make_request(max_tokens=3))
    bench.turn(3)

    seen = read(follower)
    assert [event.text for event in seen] == ["h", "e", "l"]
    assert [event.state for event in seen] == [None, None, JobState.SUCCEEDED]


def test_a_reader_can_resume_behind_any_event(bench: Bench, follower: Follower) -> None:
    bench.submit(make_request(max_tokens=3))
    bench.turn(3)
    first, *rest = read(follower)

    assert read(follower, after=first.place) == rest


def test_a_reader_is_told_while_nothing_comes(bench: Bench, follower: Follower) -> None:
    bench.submit(make_request())

    assert next(follower.tokens(["job-1"])) == []


def test_a_reader_that_is_woken_shows_a_sign_of_life_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(make_request())
    waiters = Waiters(bench.queue)
    stream = Follower(bench.queue, waiters).tokens(["job-1"])
    monkeypatch.setattr(api.follower, "KEEP_ALIVE_S", 0.01)
    assert next(stream) == []
    monkeypatch.setattr(api.follower, "KEEP_ALIVE_S", 100.0)
    waiters.wake(["job-1"])

    assert next(stream) == []
    stream.close()  # type: ignore[attr-defined]
    waiters.close()


def test_a_stream_ends_when_stock_rq_cancels_its_job(bench: Bench, follower: Follower) -> None:
    bench.submit(make_request())
    stream = follower.tokens(["job-1"])
    assert next(stream) == []
    cancel_by_rq(bench)

    *_nothing, last = list(itertools.islice(stream, 100))
    ((_place, event),) = last
    assert event.state is JobState.CANCELLED


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

    (last,) = list(itertools.islice(follower.tokens(["job-1"]), 100))
    ((_place, event),) = last
    assert event.state is JobState.CANCELLED


def test_a_stream_waits_for_redis_to_come_back(
    bench: Bench, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(make_request(max_tokens=1))
    bench.turn(1)
    tokens, failures = events.tokens, [RedisConnectionError("away")]

    def read_after_failure(*arguments: Any) -> list[TokenEvent]:
        if failures:
            raise failures.pop()
        return tokens(*arguments)

    monkeypatch.setattr(events, "tokens", read_after_failure)

    assert [event.text for event in read(follower)] == ["h"]


def texts(batch: Batch) -> list[tuple[int, str]]:
    return [(place, event.text) for place, event in batch]


def has_begun_to_listen(follower: Follower) -> None:
    """From here on only what happens wakes a stream: both channels have been subscribed to."""
    wakes: list[News] = []
    with follower._waiters.watch(["nobody"], tokens=True) as inbox:
        while len(wakes) < 2:
            assert inbox.wait(10)
            wakes += inbox.take()


def must_not_be_called(*_arguments: object) -> list[TokenEvent]:
    raise AssertionError("read")


def test_what_comes_is_handed_on_without_reading_the_stream(
    bench: Bench, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.waiters, "LOOK_AGAIN_S", 60)
    has_begun_to_listen(follower)
    bench.submit(make_request(max_tokens=4))
    bench.turn(1)
    stream = filter(None, follower.tokens(["job-1"]))
    assert texts(next(stream)) == [(0, "h")]

    monkeypatch.setattr(events, "tokens", must_not_be_called)
    bench.turn(1)
    assert texts(next(stream)) == [(0, "e")]
    bench.queue.cancel("job-1")
    ((_place, end),) = next(stream)
    assert (end.state, end.count) == (JobState.CANCELLED, 2)
    assert next(stream, None) is None


def test_what_comes_together_for_several_jobs_is_one_batch(
    bench: Bench, follower: Follower
) -> None:
    has_begun_to_listen(follower)
    bench.submit(make_request("a", prompt="xyz"), make_request("b", prompt="abc"))
    stream = follower.tokens(["b", "a"])
    assert next(stream) == []
    bench.turn(1)

    assert texts(next(batch for batch in stream if batch)) == [(1, "x"), (0, "a")]


def test_the_stream_of_several_jobs_ends_with_the_last_of_them(
    bench: Bench, follower: Follower
) -> None:
    bench.submit(make_request("a", max_tokens=1), make_request("b", max_tokens=3))
    bench.turn(3)

    events_of = [item for batch in follower.tokens(["a", "b"]) for item in batch]
    assert [place for place, event in events_of if event.state] == [0, 1]
    assert len(events_of) == 4


def test_every_reader_of_a_job_gets_all_of_it(bench: Bench, follower: Follower) -> None:
    bench.submit(make_request(max_tokens=4))
    early = follower.tokens(["job-1"])
    assert next(early) == []
    bench.turn(2)
    with ThreadPoolExecutor(1) as other:
        late = other.submit(read, follower, after="1-0")
        bench.turn(2)
        seen = [event for batch in early for _place, event in batch]

        assert [event.text for event in seen] == ["h", "e", "l", "l"]
        assert late.result() == seen[1:]


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
