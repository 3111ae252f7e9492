"""Workers of two model cards on one queue: each runs its own jobs, whoever comes, goes and dies."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from structlog.testing import capture_logs

from headrace.core import events
from headrace.core.connection import Client
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.failpoints import ArmedFailpoints, Arming, Failpoint
from headrace.core.jobs.timeline import read_timeline
from headrace.core.settings import Settings
from headrace.core.types import JobState
from tests.bench import Bench
from tests.fakes import CARD, make_card, make_request

OTHER = make_card("other")
JOBS = 6


class Killed(BaseException):
    """What a kill -9 does here: nothing of the worker runs any more."""


def kill_at(bench: Bench, place: Failpoint, hit: int = 1) -> None:
    """Arms a worker; whoever runs it catches `Killed`."""

    def kill(_number: object) -> None:
        raise Killed

    bench.worker._failpoints = ArmedFailpoints({place: Arming(hit)}, kill)


def die(bench: Bench) -> None:
    """Its leases run out."""
    for job_id in bench.worker.running:
        bench.redis.zadd(keys.LEASES, {job_id: 1.0}, xx=True)
    bench.leases.take_back(bench.worker.name)


@pytest.fixture
def bench(redis: Client, settings: Settings) -> Bench:
    return Bench(redis, settings)


@pytest.fixture
def other(redis: Client, settings: Settings) -> Bench:
    return Bench(redis, settings, "other-worker", card=OTHER)


def submit_both(bench: Bench, with_cards: bool = True) -> Mapping[str, str]:
    """Jobs of both cards in turn; returns the card of each. The version before noted no cards."""
    cards = {}
    for number in range(JOBS):
        card = (CARD, OTHER)[number % 2]
        cards[f"job-{number}"] = card.hash
        changes = {"model": card.name, "card_hash": card.hash, "max_tokens": 2}
        bench.submit(make_request(f"job-{number}", **changes))
        if not with_cards:
            bench.redis.hdel(rq_adapter.job_key(f"job-{number}"), "hr_card", "hr_model")
    return cards


def finish(*benches: Bench) -> None:
    for _turn in range(3 * JOBS):
        for bench in benches:
            worker = bench.worker
            if bench.queue.waiting() or worker.running or worker._has_lost_an_answer:
                bench.queue.wait_for_ring = lambda *_args: None  # type: ignore[method-assign]
                bench.turn(1)


def assert_each_ended_once_on_its_card(redis: Client, bench: Bench, other: Bench) -> None:
    names = {CARD.hash: bench.worker.name, OTHER.hash: other.worker.name}
    for number in range(JOBS):
        job = bench.queue.get(f"job-{number}")
        assert job.state is JobState.SUCCEEDED
        assert job.report is not None
        assert job.report.worker.startswith(names[job.request.card_hash])
    records = [record.job_id for record in events.completions(redis, 1000)]
    assert sorted(records) == [f"job-{number}" for number in range(JOBS)]
    assert redis.keys("headrace:*@*") == redis.keys(keys.ASIDE) == []
    assert redis.zcard(keys.LEASES) == redis.zcard(keys.DEAD) == 0


def test_a_job_of_another_model_waits_for_its_worker(bench: Bench) -> None:
    bench.submit(make_request(card_hash=OTHER.hash, model="other"))
    with capture_logs() as logs:
        bench.turn(1)

    assert bench.state() is JobState.QUEUED
    [line] = [line for line in logs if "set aside" in line["event"]]
    assert (line["model"], line["jobs"]) == ("other", 1)


def test_a_streaming_job_waits_for_its_worker_and_goes_on_where_it_was(
    bench: Bench, other: Bench, redis: Client, settings: Settings
) -> None:
    bench.submit(make_request(max_tokens=5))
    bench.turn(2)
    die(bench)
    other.turn(1)
    assert (other.state(), other.text()) == (JobState.QUEUED, "he")

    again = Bench(redis, settings, "worker-2")
    again.turn(3)
    assert (again.state(), again.text()) == (JobState.SUCCEEDED, "hello")


@pytest.mark.parametrize("with_cards", [True, False], ids=["noted", "of the version before"])
def test_two_cards_alive_at_once_share_the_queue(
    bench: Bench, other: Bench, redis: Client, with_cards: bool
) -> None:
    submit_both(bench, with_cards)
    finish(bench, other)

    assert_each_ended_once_on_its_card(redis, bench, other)
    for number in range(JOBS):
        moments = read_timeline(redis, f"job-{number}")
        assert sum(moment.event == "set_aside" for moment in moments) <= 1
        assert bench.queue.get(f"job-{number}").attempts == 1


@pytest.mark.parametrize("with_cards", [True, False], ids=["noted", "of the version before"])
def test_the_jobs_of_a_model_that_is_replaced_run_when_it_comes_back(
    bench: Bench, other: Bench, redis: Client, with_cards: bool
) -> None:
    submit_both(bench, with_cards)
    finish(other)
    states = [bench.state(f"job-{number}") for number in range(JOBS)]
    assert states == [JobState.QUEUED, JobState.SUCCEEDED] * (JOBS // 2)
    waiting_for = bench.queue.get("job-0").waiting_for
    assert waiting_for is not None
    assert waiting_for.model == CARD.name

    finish(bench)
    assert_each_ended_once_on_its_card(redis, bench, other)


@pytest.mark.parametrize("with_cards", [True, False], ids=["noted", "of the version before"])
@pytest.mark.parametrize(
    "place",
    [
        Failpoint.AFTER_CLAIM,
        Failpoint.AFTER_PASS_ON,
        Failpoint.MID_STEP,
        Failpoint.BEFORE_FINISH,
        Failpoint.AFTER_FINISH,
    ],
)
def test_a_worker_killed_anywhere_loses_no_job_of_either_card(
    bench: Bench,
    other: Bench,
    redis: Client,
    settings: Settings,
    place: Failpoint,
    with_cards: bool,
) -> None:
    submit_both(bench, with_cards)
    kill_at(other, place)
    if place is Failpoint.AFTER_PASS_ON and with_cards:
        finish(other)  # nothing is ever passed on
    else:
        with pytest.raises(Killed):
            finish(other)
        die(other)

    finish(bench, Bench(redis, settings, "other-worker-2", card=OTHER))
    assert_each_ended_once_on_its_card(redis, bench, other)


def test_an_answer_that_is_lost_leaves_every_job_with_its_card(
    bench: Bench, other: Bench, redis: Client
) -> None:
    submit_both(bench)
    other.queue.claim("other-worker", other.engine.room(), card_hash=OTHER.hash)
    other.worker._has_lost_an_answer = True

    finish(bench, other)
    assert_each_ended_once_on_its_card(redis, bench, other)
