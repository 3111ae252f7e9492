"""The list of jobs: newest first, a page at a time, each job once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest
from rq.job import JobStatus

from headrace.core.connection import Client
from headrace.core.jobs import job_list, keys
from headrace.core.jobs.job_list import NEWEST, Place, read_page
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from headrace.core.types import JobState
from tests.fakes import make_request
from tests.unit.core.jobs.steps import ROOM, claim_one, rq_job, succeed


def listed(queue: JobQueue, limit: int, state: JobState | None = None) -> list[str]:
    return [job.id for job in read_page(queue, limit, state=state).jobs]


def pages(queue: JobQueue, limit: int, state: JobState | None = None) -> Iterator[list[str]]:
    behind = NEWEST
    while True:
        page = read_page(queue, limit, behind, state)
        yield [job.id for job in page.jobs]
        if page.behind is None:
            return
        behind = Place.decode(page.behind.encode())


def fail(queue: JobQueue, job_id: str, reason: str = "engine_error") -> None:
    queue.submit(make_request(job_id))
    succeed(queue, claim_one(queue), result=None, reason=reason, error="broken")


def test_jobs_come_newest_first_whatever_their_state(queue: JobQueue) -> None:
    queue.submit(make_request("done"))
    succeed(queue, claim_one(queue))
    queue.submit(make_request("running"))
    claim_one(queue)
    queue.submit(make_request("waiting"))

    assert listed(queue, 10) == ["waiting", "running", "done"]
    assert listed(queue, 1) == ["waiting"]
    assert listed(queue, 10, JobState.RUNNING) == ["running"]


@pytest.mark.parametrize("chunk", [1, 2, 200])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_hold_every_job_once(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch, chunk: int, limit: int
) -> None:
    monkeypatch.setattr(job_list, "CHUNK", chunk)
    for number in range(7):
        queue.submit(make_request(str(number)))

    for state in (None, JobState.QUEUED):
        seen = list(pages(queue, limit, state))
        assert list(chain.from_iterable(seen)) == ["6", "5", "4", "3", "2", "1", "0"]
        assert all(len(page) == limit for page in seen[:-1])


def test_jobs_that_are_submitted_meanwhile_move_nobody(queue: JobQueue) -> None:
    for number in range(6):
        queue.submit(make_request(str(number)))

    seen = []
    for page in pages(queue, 2):
        seen += page
        queue.submit(make_request(f"new-{len(seen)}"))
    assert seen == ["5", "4", "3", "2", "1", "0"]


def test_a_page_goes_on_though_its_job_was_purged(queue: JobQueue) -> None:
    for number in range(3):
        queue.submit(make_request(str(number)))
    first = read_page(queue, 1)
    queue.cancel("2")
    queue.purge("2")

    assert [job.id for job in read_page(queue, 5, first.behind).jobs] == ["1", "0"]


def test_jobs_of_one_moment_are_told_apart_by_their_ids(queue: JobQueue, redis: Client) -> None:
    for name in "bdac":
        queue.submit(make_request(name))
    redis.zadd(keys.JOBS, dict.fromkeys("abcd", 1_700_000_000.123456))

    assert list(chain.from_iterable(pages(queue, 1))) == ["d", "c", "b", "a"]


@pytest.mark.parametrize("text", ["!", "käse", "eA", "bmFuIGE", "aW5mIGE", "AAAA", " "])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Place.decode(text)


def test_jobs_of_one_state_are_found_behind_others(queue: JobQueue) -> None:
    queue.submit(make_request("old"))
    succeed(queue, claim_one(queue))
    for number in range(5):
        queue.submit(make_request(f"new-{number}"))

    assert listed(queue, 2, JobState.SUCCEEDED) == ["old"]


def test_a_tenant_sees_its_own_jobs(queue: JobQueue) -> None:
    for number in range(4):
        queue.submit(make_request(str(number), tenant="ab"[number % 2]))
    queue.cancel("1")

    def of(tenant: str, state: JobState | None = None) -> list[str]:
        return [job.id for job in read_page(queue, 5, state=state, tenant=tenant).jobs]

    assert (of("a"), of("b"), of("c")) == (["2", "0"], ["3", "1"], [])
    assert of("b", JobState.QUEUED) == ["3"]


def test_a_page_looks_at_so_many_jobs_and_says_that_there_are_more(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_list, "CHUNK", 2)
    monkeypatch.setattr(job_list, "MOST_CHUNKS", 1)
    queue.submit(make_request("old"))
    succeed(queue, claim_one(queue))
    for number in range(4):
        queue.submit(make_request(f"new-{number}"))

    assert list(pages(queue, 5, JobState.SUCCEEDED)) == [[], [], ["old"]]


def test_jobs_of_one_moment_are_looked_at_together(
    queue: JobQueue, redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_list, "CHUNK", 2)
    monkeypatch.setattr(job_list, "MOST_CHUNKS", 1)
    for name in "abcde":
        queue.submit(make_request(name))
    redis.zadd(keys.JOBS, dict.fromkeys("bcd", 1_700_000_000.123456) | {"a": 1_600_000_000.0})

    assert list(pages(queue, 5, JobState.QUEUED)) == [["e", "d", "c", "b"], ["a"]]
    assert list(pages(queue, 3, JobState.QUEUED)) == [["e", "d", "c"], ["b", "a"]]


def test_failed_and_expired_jobs_are_told_apart(queue: JobQueue) -> None:
    fail(queue, "failed")
    fail(queue, "expired", reason="expired")

    assert listed(queue, 3, JobState.FAILED) == ["failed"]
    assert listed(queue, 3, JobState.EXPIRED) == ["expired"]


def test_a_job_that_rq_stopped_is_listed_as_cancelled(queue: JobQueue, redis: Client) -> None:
    fail(queue, "stopped")
    rq_job(redis, "stopped").set_status(JobStatus.STOPPED)
    fail(queue, "failed")
    queue.submit(make_request("cancelled"))
    queue.cancel("cancelled")

    assert listed(queue, 9, JobState.CANCELLED) == ["cancelled", "stopped"]
    assert listed(queue, 9, JobState.FAILED) == ["failed"]


def test_a_job_that_is_gone_or_cannot_be_read_takes_no_place_in_a_list(
    queue: JobQueue, redis: Client
) -> None:
    for name in ("readable", "unreadable", "gone"):
        fail(queue, name)
    redis.hset("rq:job:unreadable", "data", b"nothing that RQ wrote")
    redis.delete("rq:job:gone")

    assert listed(queue, 1, JobState.FAILED) == ["readable"]
    assert listed(queue, 1) == ["readable"]


def test_a_job_that_rq_requeues_is_listed_by_its_new_life(queue: JobQueue, redis: Client) -> None:
    fail(queue, "again")
    queue.submit(make_request("other"))
    rq_job(redis, "again").requeue()
    queue.claim("worker-1", ROOM)

    assert listed(queue, 3) == ["again", "other"]


def test_a_job_that_an_older_version_accepted_is_listed_once_it_has_ended(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request("old"))
    redis.delete(keys.JOBS)
    succeed(queue, claim_one(queue))

    assert listed(queue, 3) == ["old"]


# -- what is forgotten -----------------------------------------------------------------------------


def test_a_purged_job_leaves_the_list(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    queue.cancel("job-1")
    queue.purge("job-1")

    assert redis.exists(keys.JOBS) == 0


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
def test_a_job_leaves_the_list_when_the_time_of_its_result_is_over(
    redis: Client, settings: Settings, end: str
) -> None:
    queue = JobQueue(redis, settings)
    queue.submit(make_request())
    if end == "cancelled":
        queue.cancel("job-1")
    else:
        failure = {"result": None, "reason": "engine_error", "error": "broken"}
        succeed(queue, claim_one(queue), **(failure if end == "failed" else {}))
    Leases(redis, settings).sweep()
    assert redis.zcard(keys.JOBS) == 1

    for kind in ("finished", "failed", "canceled"):
        redis.zadd(f"rq:{kind}:headrace-default", {"job-1": 1.0}, xx=True)
    Leases(redis, settings).sweep()
    assert redis.exists(keys.JOBS) == 0


def test_a_job_that_keeps_no_result_leaves_the_list_at_its_end(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request())
    redis.hset("rq:job:job-1", "result_ttl", 0)
    succeed(queue, claim_one(queue))

    assert redis.exists(keys.JOBS) == 0


def test_a_job_that_rq_deleted_leaves_the_list(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    rq_job(redis).delete()
    leases.sweep()

    assert redis.exists(keys.JOBS) == 0
