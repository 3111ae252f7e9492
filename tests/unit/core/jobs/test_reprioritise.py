"""JobQueue.reprioritise against a real server."""

from __future__ import annotations

import pytest
from rq import Queue

from headrace.core.connection import Client
from headrace.core.errors import JobNotFound
from headrace.core.jobs import keys
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import JobState, Priority
from tests.fakes import make_request
from tests.unit.core.jobs.steps import ROOM, claim_one, rq_job, succeed


def test_a_waiting_job_that_is_made_interactive_goes_before_those_in_front_of_it(
    queue: JobQueue,
) -> None:
    for name in ("a", "b"):
        queue.submit(make_request(name, priority=Priority.BATCH))

    assert queue.reprioritise("b", Priority.INTERACTIVE)

    assert queue.get("b").request.priority is Priority.INTERACTIVE
    assert queue.get("b").position == 0
    assert [claim.job_id for claim in queue.claim("w", ROOM).claims] == ["b", "a"]


def test_a_job_that_is_moved_stands_in_one_queue_and_rq_knows_which(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request())

    queue.reprioritise("job-1", Priority.BATCH)

    assert rq_job(redis).origin == "headrace-batch"
    waiting = {q.name: q.job_ids for q in Queue.all(connection=redis)}
    assert waiting == {"headrace-default": [], "headrace-batch": ["job-1"]}


def test_a_job_given_the_priority_that_it_has_keeps_its_place(queue: JobQueue) -> None:
    for name in ("a", "b"):
        queue.submit(make_request(name))

    assert queue.reprioritise("a", Priority.DEFAULT)
    assert queue.get("a").position == 0


def test_a_job_that_is_moved_still_expires_when_it_would_have(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request(deadline_s=60.0))
    expires = redis.zscore(keys.EXPIRIES, "job-1")

    queue.reprioritise("job-1", Priority.BATCH)

    assert redis.zscore(keys.EXPIRIES, "job-1") == expires
    assert claim_one(queue).remaining_s == pytest.approx(60.0, abs=1.0)


def test_the_tokens_of_a_moved_job_wait_in_its_new_queue(queue: JobQueue, redis: Client) -> None:
    moved = make_request()
    queue.submit(moved)
    queue.submit(make_request("stays"))

    queue.reprioritise("job-1", Priority.BATCH)

    for name in ("headrace-default", "headrace-batch"):
        assert int(redis.hget(keys.share(name), "tokens")) == moved.cost_tokens


@pytest.mark.parametrize("status", ["scheduled", "deferred"])
def test_a_job_that_rq_holds_back_waits_in_its_new_queue_later(
    queue: JobQueue, redis: Client, status: str
) -> None:
    queue.submit(make_request())
    redis.delete("rq:queue:headrace-default", keys.fair("headrace-default"))
    redis.hset("rq:job:job-1", "status", status)
    redis.zadd(f"rq:{status}:headrace-default", {"job-1": 12345})

    assert queue.reprioritise("job-1", Priority.BATCH)

    assert queue.get("job-1").request.priority is Priority.BATCH
    assert redis.zscore(f"rq:{status}:headrace-default", "job-1") is None
    assert redis.zscore(f"rq:{status}:headrace-batch", "job-1") == 12345
    assert redis.zscore(keys.EXPIRIES, "job-1") is not None


def test_a_running_or_ended_job_keeps_its_priority(queue: JobQueue) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    assert not queue.reprioritise("job-1", Priority.BATCH)
    succeed(queue, claim)
    assert not queue.reprioritise("job-1", Priority.BATCH)

    assert queue.get("job-1").request.priority is Priority.DEFAULT
    assert queue.waiting() == 0


def test_a_moved_job_wakes_an_idle_worker(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    redis.delete(keys.DOORBELL)

    queue.reprioritise("job-1", Priority.INTERACTIVE)

    assert redis.llen(keys.DOORBELL) > 0


def test_a_job_that_says_it_waits_but_stands_in_no_queue_is_not_queued(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request())
    redis.delete("rq:queue:headrace-default")

    assert not queue.reprioritise("job-1", Priority.BATCH)
    assert queue.waiting() == 0
    assert queue.state("job-1") is JobState.QUEUED
    assert redis.zscore(keys.EXPIRIES, "job-1") is not None


def test_the_priority_of_an_unknown_or_foreign_job_is_not_changed(
    queue: JobQueue, redis: Client
) -> None:
    job = Queue("other", connection=redis).enqueue("os.getpid")

    for job_id in ("nobody", job.id):
        with pytest.raises(JobNotFound, match=job_id):
            queue.reprioritise(job_id, Priority.BATCH)
    assert Queue("other", connection=redis).job_ids == [job.id]
