"""The windows in which an API key's requests and tokens are counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.connection import Client
from headrace.core.errors import IdempotencyConflict, InvalidRequest, LimitExceeded, QueueFull
from headrace.core.jobs import keys
from headrace.core.jobs.handover import Idempotency, Submitted
from headrace.core.jobs.queue import JobQueue
from headrace.core.jobs.rates import WINDOW_S, Rates, Usage, wait_s
from headrace.core.jobs.submission import Submission
from headrace.core.settings import Settings
from tests.fakes import make_request

COST = make_request().cost_tokens
TWO = Rates("key-1", requests=2)


def submit(queue: JobQueue, *ids: str, rates: Rates = TWO, key: str = "") -> list[Submitted]:
    idempotency = Idempotency(key, f"{len(ids)} jobs")
    return queue.send(Submission([make_request(i) for i in ids], idempotency, rates=rates))


def usages(queue: JobQueue, rates: Rates = TWO) -> list[Usage]:
    """As a submission that is in nobody's way is told."""
    call = queue.prepare(Submission([make_request("first")], rates=rates))
    [answer] = queue.send_many([call])
    return answer.usages


def pass_s(redis: Client, seconds: float) -> None:
    """The windows of the key are older by so much."""
    redis.hincrbyfloat(keys.rate("key-1"), "since", -seconds)


def test_a_list_counts_by_its_jobs_and_their_tokens(queue: JobQueue) -> None:
    rates = Rates("key-1", requests=10, tokens=10 * COST)
    submit(queue, "first", "second", "third", rates=rates)

    requests, tokens = usages(queue, rates)
    assert (requests.kind, requests.current, requests.remaining) == ("requests", 3, 7)
    assert (tokens.kind, tokens.current, tokens.remaining) == ("tokens", 3 * COST, 7 * COST)


def test_what_is_too_much_is_refused_with_the_time_to_wait(queue: JobQueue) -> None:
    submit(queue, "first", "second")

    with pytest.raises(LimitExceeded) as refused:
        submit(queue, "third")
    assert refused.value.code == "requests_per_minute"
    assert WINDOW_S < (refused.value.retry_after_s or 0) <= 2 * WINDOW_S
    assert queue.waiting() == 2


def test_more_than_the_limit_at_once_never_passes(queue: JobQueue) -> None:
    with pytest.raises(InvalidRequest) as refused:
        submit(queue, "first", "second", "third")
    assert refused.value.code == "requests_per_minute"


def test_the_last_minute_fades(queue: JobQueue, redis: Client) -> None:
    submit(queue, "first", "second")

    pass_s(redis, WINDOW_S + 1)  # of two jobs a bit more than one still counts, rounded down
    assert len(submit(queue, "third")) == 1
    with pytest.raises(LimitExceeded):
        submit(queue, "fourth")
    pass_s(redis, WINDOW_S - 2)
    assert len(submit(queue, "fifth")) == 1


def test_after_two_minutes_nothing_counts(queue: JobQueue, redis: Client) -> None:
    submit(queue, "first", "second")
    pass_s(redis, 2 * WINDOW_S)
    assert len(submit(queue, "third", "fourth")) == 2


def test_the_counts_of_a_key_that_rests_are_forgotten(queue: JobQueue, redis: Client) -> None:
    submit(queue, "first")
    assert 0 < redis.ttl(keys.rate("key-1")) <= 2 * WINDOW_S


def test_nothing_is_counted_for_a_key_without_rates(queue: JobQueue, redis: Client) -> None:
    submit(queue, "first", rates=Rates("key-1"))
    assert not redis.exists(keys.rate("key-1"))


def test_a_repeat_passes_at_the_limit_and_costs_nothing(queue: JobQueue) -> None:
    submit(queue, "first", "second", key="k")

    again = submit(queue, "other", "another", key="k")
    assert [job.job_id for job in again] == ["first", "second"]
    assert usages(queue)[0].current == 2


def test_a_call_whose_answer_got_lost_counts_once(queue: JobQueue) -> None:
    submit(queue, "first")
    submit(queue, "first")
    assert usages(queue)[0].current == 1


def test_refusals_cost_nothing_and_say_what_is_left(redis: Client, settings: Settings) -> None:
    queue = JobQueue(redis, settings.model_copy(update={"queue_max_jobs": 1}))
    submit(queue, "first", key="k")

    with pytest.raises(QueueFull):
        submit(queue, "second")
    with pytest.raises(IdempotencyConflict):
        submit(queue, "second", "third", key="k")
    assert usages(queue)[0].remaining == 1


@pytest.mark.parametrize(
    ("room", "window", "expected"),
    [
        (5, (0, 0.0, 5, 100.0), 0.0),
        (5, (10, 45.0, 0, 0.0), 15.0),  # 7.5 count now, 5 do after 15 s more
        (5, (10, 30.0, 0, 0.0), 0.0),
        (0, (0, 0.0, 10, 90.0), 90.0),  # 30 s until the window ends, 60 s until it has faded
        (5, (0, 0.0, 10, 90.0), 60.0),
    ],
)
def test_the_wait_is_until_the_windows_have_faded(
    room: int, window: tuple[int, float, int, float], expected: float
) -> None:
    assert wait_s(room, *window) == pytest.approx(expected)


@given(
    room=st.integers(0, 100),
    previous=st.integers(0, 100),
    current=st.integers(0, 100),
    left_s=st.floats(0, WINDOW_S),
)
def test_after_the_wait_the_request_fits(
    room: int, previous: int, current: int, left_s: float
) -> None:
    waited = wait_s(room, previous, left_s, current, WINDOW_S + left_s)
    assert 0 <= waited <= 2 * WINDOW_S
    if waited <= left_s:
        counted = previous * (left_s - waited) / WINDOW_S + current
    else:
        counted = current * (WINDOW_S - (waited - left_s)) / WINDOW_S
    assert counted <= room + 1e-6
