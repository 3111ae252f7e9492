"""A job leaves the same in Redis whether stock RQ's SimpleWorker or our BatchWorker ran it.

Keys, types, fields, registries, scores and times to live are compared. What may differ is an
`Allowance`, with its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from rq import Queue, Retry
from rq.job import Dependency
from rq.serializers import JSONSerializer

from headrace.core.connection import Client
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from tests.fakes import make_request
from tests.integration.redis_picture import About, Difference, compare, take_picture
from tests.integration.sides import QUEUE, Side, Sides

AT_ONCE = Retry(max=2)
LATER = Retry(max=2, interval=60)
AT_THE_FRONT = Retry(max=2, enqueue_at_front=True)


@dataclass(frozen=True)
class Allowance:
    """A difference that is meant; `holds` says which one it is."""

    reason: str
    holds: Callable[[Difference], bool]


def is_sooner(difference: Difference) -> bool:
    stock, ours = difference.stock, difference.ours
    if not (isinstance(stock, About) and isinstance(ours, About)):
        return False
    return difference.key.startswith("rq:scheduled:") and 0 < ours.seconds <= stock.seconds


def is_life_of_a_worker(difference: Difference) -> bool:
    return difference.key.startswith("rq:worker:") and difference.field == "(ttl)"


def is_life_of_a_job(difference: Difference) -> bool:
    return difference.key.startswith("rq:job:") and difference.field == "(ttl)"


ALLOWED = (
    Allowance("jobs that failed together are not retried together: our wait has jitter", is_sooner),
    Allowance("our workers beat every second, not once a job", is_life_of_a_worker),
)
JOBS_EXPIRE = Allowance("RQ lets a job vanish; ours ends as expired", is_life_of_a_job)
CANCELLED_JOBS_GO = Allowance("RQ keeps cancelled jobs for ever", is_life_of_a_job)


def assert_alike(differences: list[Difference], *more: Allowance) -> None:
    allowed = ALLOWED + more
    lines = [str(each) for each in differences if not any(a.holds(each) for a in allowed)]
    assert not lines, "\n" + "\n".join(lines)


@pytest.fixture
def both(redis: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Sides:
    return Sides(redis, settings, monkeypatch)


def test_a_submitted_job(redis: Client, settings: Settings) -> None:
    request = make_request()
    Queue(QUEUE, connection=redis, serializer=JSONSerializer).enqueue_call(
        "headrace.generate",
        (request.encode(),),
        job_id=request.id,
        description="headrace.generate 5 prompt tokens",
        timeout=settings.job_timeout_s,
        result_ttl=settings.result_ttl_s,
        failure_ttl=settings.result_ttl_s,
        retry=Retry(max=3, interval=[1, 2, 4]),
    )
    stock = take_picture(redis)
    redis.flushall()
    JobQueue(redis, settings).submit(request)

    assert_alike(compare(stock, take_picture(redis)))


def test_a_job_while_it_runs(both: Sides) -> None:
    for side in both:
        side.enqueue()
        side.begin()
    assert_alike(both.differences)


def test_a_job_that_succeeded(both: Sides) -> None:
    for side in both:
        side.enqueue()
        side.succeed()
    assert_alike(both.differences)


@pytest.mark.parametrize("result_ttl", [300, 0, -1])
def test_a_job_that_succeeded_and_says_how_long_to_keep_it(both: Sides, result_ttl: int) -> None:
    for side in both:
        side.enqueue(result_ttl=result_ttl)
        side.succeed()
    assert_alike(both.differences)


def test_a_job_that_failed(both: Sides) -> None:
    for side in both:
        side.enqueue()
        side.fail_for_good()
    assert_alike(both.differences)


@pytest.mark.parametrize("failure_ttl", [300, 0, -1])
def test_a_job_that_failed_and_says_how_long_to_keep_it(both: Sides, failure_ttl: int) -> None:
    for side in both:
        side.enqueue(failure_ttl=failure_ttl)
        side.fail_for_good()
    assert_alike(both.differences)


def test_jobs_that_are_kept_for_ever_outlast_maintenance(both: Sides) -> None:
    for side in both:
        side.enqueue(result_ttl=-1)
        side.succeed()
        side.enqueue("job-2", failure_ttl=-1)
        side.fail_for_good()
        side.maintain()
    assert_alike(both.differences)


@pytest.mark.parametrize("timeout", [77, -1])
def test_a_running_job_with_a_timeout_of_its_own(both: Sides, timeout: int) -> None:
    for side in both:
        side.enqueue(timeout=timeout)
        side.begin()
    assert_alike(both.differences)


def test_a_job_that_ran_longer_than_its_own_timeout(both: Sides) -> None:
    for side in both:
        side.enqueue(timeout=77)
        side.run_for(78)
    assert_alike(both.differences)


def test_a_running_job_that_was_given_a_time_to_live(both: Sides) -> None:
    for side in both:
        side.enqueue(ttl=1000)
        side.begin()
    assert_alike(both.differences)


# -- retries ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("retry", [AT_ONCE, LATER], ids=["at once", "later"])
def test_a_job_that_waits_for_its_second_attempt(both: Sides, retry: Retry) -> None:
    for side in both:
        side.enqueue(retry=retry)
        side.fail()
    assert_alike(both.differences)


@pytest.mark.parametrize("retry", [AT_ONCE, AT_THE_FRONT], ids=["at the back", "at the front"])
def test_where_a_job_waits_for_its_second_attempt(both: Sides, retry: Retry) -> None:
    for side in both:
        side.enqueue(retry=retry)
        side.enqueue("job-2")
        side.fail()
    assert_alike(both.differences)


def test_a_second_attempt_waits_no_longer_than_its_job_may_live(both: Sides) -> None:
    for side in both:
        side.enqueue(retry=AT_ONCE, ttl=1000)
        side.fail()
    assert_alike(both.differences, JOBS_EXPIRE)


def test_a_scheduled_retry_whose_time_has_come(both: Sides) -> None:
    for side in both:
        side.enqueue(retry=LATER)
        side.fail()
        side.let_its_time_come()
    assert_alike(both.differences)


def test_a_job_that_succeeded_at_its_second_attempt(both: Sides) -> None:
    for side in both:
        side.enqueue(retry=AT_ONCE)
        side.fail()
        side.succeed()
    assert_alike(both.differences)


def test_a_scheduled_retry_that_succeeded(both: Sides) -> None:
    for side in both:
        side.enqueue(retry=LATER)
        side.fail()
        side.let_its_time_come()
        side.succeed()
    assert_alike(both.differences)


def test_each_retry_waits_its_own_interval(both: Sides) -> None:
    for side in both:
        side.enqueue(retry=Retry(max=2, interval=[30, 600]))
        side.fail()
        side.let_its_time_come()
        side.fail()
    assert_alike(both.differences)


def test_a_job_whose_retries_are_exhausted(both: Sides) -> None:
    for side in both:
        side.enqueue(retry=Retry(max=1))
        side.fail()
        side.fail()
    assert_alike(both.differences)


# -- dependents ------------------------------------------------------------------------------------


def enqueue_family(side: Side, allow_failure: bool = False) -> None:
    side.enqueue("parent", result_ttl=300, failure_ttl=300)
    side.enqueue("child", depends_on=Dependency("parent", allow_failure=allow_failure))


def test_the_dependent_of_a_job_that_succeeded(both: Sides) -> None:
    for side in both:
        enqueue_family(side)
        side.succeed()
    assert_alike(both.differences)


def test_a_dependent_that_ran_after_its_parent(both: Sides) -> None:
    for side in both:
        enqueue_family(side)
        side.succeed()
        side.succeed()
        assert side.job("child").is_finished
    assert_alike(both.differences)


def test_the_dependent_of_a_job_that_failed(both: Sides) -> None:
    for side in both:
        enqueue_family(side)
        side.fail_for_good()
        assert side.job("child").is_deferred
    assert_alike(both.differences)


def test_a_dependent_that_does_not_mind_a_failure(both: Sides) -> None:
    for side in both:
        enqueue_family(side, allow_failure=True)
        side.fail_for_good()
        assert side.job("child").is_queued
    assert_alike(both.differences)


def test_a_dependent_of_two_jobs_waits_for_both(both: Sides) -> None:
    for side in both:
        side.enqueue("first", result_ttl=300)
        side.enqueue("second", result_ttl=300)
        side.enqueue("child", depends_on=["first", "second"])
        side.succeed()
    assert_alike(both.differences)


def test_a_dependent_that_wants_to_the_front_of_its_queue(both: Sides) -> None:
    for side in both:
        side.enqueue("parent", result_ttl=300)
        side.enqueue("other")
        side.enqueue("child", depends_on=Dependency("parent", enqueue_at_front=True))
        side.succeed()
    assert_alike(both.differences)


def test_the_dependent_of_a_job_that_is_kept_no_longer(both: Sides) -> None:
    for side in both:
        side.enqueue("parent", result_ttl=0)
        side.enqueue("child", depends_on="parent")
        side.succeed()
    assert_alike(both.differences)


def test_the_dependent_of_a_job_that_is_tried_again(both: Sides) -> None:
    for side in both:
        side.enqueue("parent", retry=AT_ONCE)
        side.enqueue("child", depends_on="parent")
        side.fail()
    assert_alike(both.differences)


# -- ends by command -------------------------------------------------------------------------------


def test_a_job_cancelled_while_it_waited(both: Sides) -> None:
    for side in both:
        side.enqueue()
        side.cancel()
    assert_alike(both.differences, CANCELLED_JOBS_GO)


def test_the_dependent_of_a_cancelled_job(both: Sides) -> None:
    for side in both:
        enqueue_family(side, allow_failure=True)
        side.cancel("parent")
    assert_alike(both.differences, CANCELLED_JOBS_GO)


@pytest.mark.parametrize("state", ["deferred", "scheduled"])
def test_a_job_cancelled_before_it_waited_in_a_queue(both: Sides, state: str) -> None:
    for side in both:
        if state == "deferred":
            enqueue_family(side)
            side.cancel("child")
        else:
            side.enqueue("child", retry=LATER)
            side.fail()
            side.cancel("child")
    assert_alike(both.differences, CANCELLED_JOBS_GO)


@pytest.mark.parametrize("options", [{}, {"retry": AT_ONCE}], ids=["no retry", "retries left"])
def test_a_job_stopped_while_it_ran(both: Sides, options: dict[str, Retry]) -> None:
    for side in both:
        side.enqueue(**options)
        side.begin()
        side.stop()
    assert_alike(both.differences)


def test_the_dependent_of_a_stopped_job(both: Sides) -> None:
    for side in both:
        enqueue_family(side, allow_failure=True)
        side.begin()
        side.stop()
    assert_alike(both.differences)


# -- after an end ----------------------------------------------------------------------------------


def test_a_failed_job_that_is_requeued(both: Sides) -> None:
    for side in both:
        side.enqueue(failure_ttl=300)
        side.fail_for_good()
        side.job().requeue()
    assert_alike(both.differences)


def test_a_requeued_job_that_succeeded(both: Sides) -> None:
    for side in both:
        side.enqueue(failure_ttl=300, result_ttl=300)
        side.fail_for_good()
        side.job().requeue()
        side.succeed()
    assert_alike(both.differences)
