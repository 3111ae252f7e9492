from __future__ import annotations

import pytest
from rq import SimpleWorker
from structlog.testing import capture_logs

from headrace.cli.worker_release import WorkerRelease
from headrace.core.connection import Client, connect
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.jobs import keys
from headrace.core.jobs.queue import JobQueue
from headrace.core.roster import Roster, WorkerState
from headrace.core.settings import Settings
from headrace.core.types import EngineStats, JobState, Request, Room, Sampling

WORKER = "worker-1-a3f9"


def claimed_job(queue: JobQueue, worker: str) -> str:
    request = Request("job-of-" + worker, "tiny", "hash", (1, 2), Sampling(max_tokens=4))
    queue.submit(request)
    assert queue.claim(worker, Room(slots=1, tokens=100)).claims
    return request.id


def test_the_jobs_of_a_dead_worker_wait_again_at_once(redis: Client, settings: Settings) -> None:
    queue = JobQueue(redis, settings)
    job_id = claimed_job(queue, WORKER)
    assert queue.state(job_id) is JobState.RUNNING
    with capture_logs() as logs:
        WorkerRelease(redis, settings)(WORKER)
    assert queue.state(job_id) is JobState.QUEUED
    assert [line["job_id"] for line in logs if "redelivered" in line["event"]] == [job_id]


def test_the_jobs_of_other_workers_run_on(redis: Client, settings: Settings) -> None:
    queue = JobQueue(redis, settings)
    job_id = claimed_job(queue, "worker-2-b0b0")
    WorkerRelease(redis, settings)(WORKER)
    assert queue.state(job_id) is JobState.RUNNING


def test_a_dead_worker_leaves_the_roster(redis: Client, settings: Settings) -> None:
    roster = Roster(redis, settings.lease_s)
    roster.beat(WorkerState(WORKER, "ready", 1, "simulated", EngineStats()))
    WorkerRelease(redis, settings)(WORKER)
    assert roster.workers() == []


@pytest.mark.parametrize("on_purpose", [True, False])
def test_all_workers_of_an_earlier_run_are_released(
    redis: Client, settings: Settings, on_purpose: bool
) -> None:
    queue, names = JobQueue(redis, settings), ("worker-1-aaaa", "worker-2-bbbb")
    for name in names:
        SimpleWorker(["headrace-default"], name=name, connection=redis).register_birth()
        claimed_job(queue, name)
    WorkerRelease(redis, settings).release_all(on_purpose=on_purpose)
    assert queue.waiting() == 2
    deaths = [redis.hexists(f"rq:job:job-of-{name}", "hr_deaths") for name in names]
    assert deaths == [not on_purpose] * 2
    assert SimpleWorker.all(connection=redis) == []


def test_a_worker_that_left_nothing_is_not_worth_a_line(redis: Client, settings: Settings) -> None:
    with capture_logs() as logs:
        WorkerRelease(redis, settings)(WORKER)
    assert logs == []


def test_without_redis_the_leases_have_to_end_by_themselves(settings: Settings) -> None:
    away = connect("redis://127.0.0.1:1", 0.1)
    with capture_logs() as logs:
        WorkerRelease(away, settings)(WORKER)
    assert logs[0]["event"] == "jobs wait for their leases to end"


def test_a_job_that_killed_its_worker_alone_is_to_blame(redis: Client, settings: Settings) -> None:
    queue, release = JobQueue(redis, settings), WorkerRelease(redis, settings)
    claimed_job(queue, "worker-0")
    deaths = [release("worker-0")]
    for number in (1, 2):
        queue.claim(f"worker-{number}", Room(slots=1, tokens=100))
        deaths.append(release(f"worker-{number}"))

    assert deaths == [False, False, True]


def test_the_jobs_of_a_worker_that_was_asked_to_end_are_charged_with_nothing(
    redis: Client, settings: Settings
) -> None:
    queue, release = JobQueue(redis, settings), WorkerRelease(redis, settings)
    job_id = claimed_job(queue, "worker-0")
    for number in range(5):
        release.without_blame(f"worker-{number}")
        assert queue.state(job_id) is JobState.QUEUED
        queue.claim(f"worker-{number + 1}", Room(slots=1, tokens=100))

    assert queue.get(job_id).attempts == 1
    assert not redis.hexists(f"rq:job:{job_id}", "hr_deaths")
    assert redis.zcard(keys.DEATHS) == 0


def test_a_death_is_noted_but_not_the_end_of_one_that_was_told_to_end(
    redis: Client, settings: Settings
) -> None:
    release = WorkerRelease(redis, settings)
    release(WORKER)
    Roster(redis, settings.lease_s).drain("worker-2-b0b0")
    assert DesiredFleet(redis, settings).dismiss("worker-2-b0b0")
    release("worker-2-b0b0")

    assert redis.zrange(keys.DEATHS, 0, -1) == [WORKER.encode()]


def test_the_end_of_a_worker_that_its_job_killed_alone_is_no_death_of_the_fleet(
    redis: Client, settings: Settings
) -> None:
    queue, release = JobQueue(redis, settings), WorkerRelease(redis, settings)
    for number in range(3):
        if number == 0:
            claimed_job(queue, "worker-0")
        else:
            queue.claim(f"worker-{number}", Room(slots=1, tokens=100))
        release(f"worker-{number}")

    assert redis.zrange(keys.DEATHS, 0, -1) == [b"worker-0", b"worker-1"]
