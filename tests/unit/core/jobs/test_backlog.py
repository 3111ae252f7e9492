"""How much work the queue holds."""

from __future__ import annotations

from dataclasses import replace

from headrace.core.connection import Client
from headrace.core.jobs.backlog import Backlog, read_backlog
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from headrace.core.types import Priority, Room
from tests.fakes import make_request
from tests.unit.core.jobs.steps import claim_one, succeed


def test_an_empty_queue_holds_nothing(redis: Client) -> None:
    backlog = read_backlog(redis)
    assert replace(backlog, at=0.0) == Backlog(0, 0, 0, oldest_s=0.0, waiting_tokens=0.0, at=0.0)


def test_what_waits_counts_with_its_tokens(queue: JobQueue, redis: Client) -> None:
    requests = [
        make_request(f"job-{number}", priority=each) for number, each in enumerate(Priority)
    ]
    queue.submit_all(requests)

    assert read_backlog(redis).waiting_tokens == sum(each.cost_tokens for each in requests)


def test_waiting_and_running_jobs_of_all_priorities_are_counted(
    queue: JobQueue, redis: Client
) -> None:
    for number, priority in enumerate(Priority):
        queue.submit(make_request(f"job-{number}", priority=priority))
    queue.claim("worker-1", Room(slots=1, tokens=1000))

    backlog = read_backlog(redis)
    assert (backlog.waiting, backlog.running) == (2, 1)


def test_the_oldest_waiting_job_of_any_queue_gives_the_age(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request("young", priority=Priority.INTERACTIVE))
    queue.submit(make_request("old", priority=Priority.BATCH))
    redis.hincrbyfloat("rq:job:old", "hr_accepted", -100)

    assert 100 <= read_backlog(redis).oldest_s < 160


def test_a_dead_letter_counts_until_its_next_life_begins(
    queue: JobQueue, redis: Client, settings: Settings
) -> None:
    queue.submit(make_request())
    claim_one(queue)
    Leases(redis, settings.model_copy(update={"max_deaths": 1})).take_back("worker-1")
    assert read_backlog(redis).dead == 1

    redis.hset("rq:job:job-1", "status", "queued")  # as `rq requeue` does
    redis.rpush("rq:queue:headrace-default", "job-1")
    assert read_backlog(redis).oldest_s == 0.0  # it has not waited since its first life
    claim_one(queue)
    assert read_backlog(redis).dead == 0


def test_a_job_that_waits_for_a_retry_waits(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    succeed(queue, claim_one(queue), result=None, reason="e", error="x", retry_share=1.0)

    assert read_backlog(redis).waiting == 1
