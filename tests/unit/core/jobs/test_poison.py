"""Jobs that kill their workers, on a real server: who is suspected, isolated and given up."""

from __future__ import annotations

import json

from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.jobs.dead_letters import DeadLetters
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from headrace.core.types import JobState, Priority
from tests.fakes import make_request
from tests.unit.core.jobs.steps import ROOM, claim_one, succeed

BATCH = [f"job-{number}" for number in range(4)]


def die_with(queue: JobQueue, leases: Leases, worker: str) -> list[str]:
    """A worker claims what it can and dies; returns what it had."""
    claimed = [claim.job_id for claim in queue.claim(worker, ROOM).claims]
    leases.take_back(worker)
    return claimed


def suspects(queue: JobQueue, leases: Leases) -> None:
    """Four jobs whose workers died twice."""
    for job_id in BATCH:
        queue.submit(make_request(job_id))
    for number in range(2):
        assert sorted(die_with(queue, leases, f"dead-{number}")) == BATCH


def test_after_a_first_death_jobs_run_in_a_batch_again(queue: JobQueue, leases: Leases) -> None:
    for job_id in BATCH:
        queue.submit(make_request(job_id))
    die_with(queue, leases, "dead")

    claims = queue.claim("worker-1", ROOM).claims
    assert sorted(claim.job_id for claim in claims) == BATCH
    assert not any(claim.is_alone for claim in claims)


def test_after_a_second_death_each_runs_alone(queue: JobQueue, leases: Leases) -> None:
    suspects(queue, leases)
    queue.submit(make_request("innocent"))

    claim = claim_one(queue)
    assert claim.is_alone
    assert claim.job_id in BATCH


def test_who_dies_alone_is_a_dead_letter_and_no_batch_mate_is(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    suspects(queue, leases)
    (dead,) = die_with(queue, leases, "dead-3")

    for _job in range(3):
        assert succeed(queue, claim_one(queue))
    survivors = set(BATCH) - {dead}
    assert {queue.state(job_id) for job_id in survivors} == {JobState.SUCCEEDED}
    job = queue.get(dead)
    assert (job.state, job.attempts) == (JobState.FAILED, 3)
    assert "workers died" in (job.error or "")
    assert redis.zscore(keys.DEAD, dead) is not None


def test_each_death_is_kept_with_its_worker_and_batch_size(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    suspects(queue, leases)
    (dead,) = die_with(queue, leases, "dead-3")

    died = json.loads(redis.hget(f"rq:job:{dead}", "hr_died"))
    assert [(death["worker"], death["batch_size"]) for death in died] == [
        ("dead-0", 4),
        ("dead-1", 4),
        ("dead-3", 1),
    ]


def test_a_busy_worker_empties_itself_for_a_suspect(queue: JobQueue, leases: Leases) -> None:
    queue.submit(make_request("running"))
    running = claim_one(queue, "busy")
    suspects(queue, leases)
    queue.submit(make_request("innocent"))

    assert queue.claim("busy", ROOM).claims == []
    assert succeed(queue, running)
    assert claim_one(queue, "busy").is_alone


def test_only_one_worker_empties_itself_and_the_others_go_on(
    queue: JobQueue, leases: Leases
) -> None:
    for worker in ("busy-1", "busy-2"):
        queue.submit(make_request(f"of-{worker}"))
        claim_one(queue, worker)
    suspects(queue, leases)
    queue.submit(make_request("innocent"))

    assert queue.claim("busy-1", ROOM).claims == []
    assert [claim.job_id for claim in queue.claim("busy-2", ROOM).claims] == ["innocent"]


def test_one_suspect_runs_at_a_time_and_idle_workers_take_the_others(
    queue: JobQueue, leases: Leases
) -> None:
    suspects(queue, leases)
    assert claim_one(queue, "worker-1").is_alone
    queue.submit(make_request("innocent"))

    claim = claim_one(queue, "worker-2")
    assert (claim.job_id, claim.is_alone) == ("innocent", False)


def test_a_worker_that_runs_a_suspect_is_given_nothing_beside_it(
    queue: JobQueue, leases: Leases
) -> None:
    suspects(queue, leases)
    assert claim_one(queue).is_alone
    queue.submit(make_request("innocent"))

    assert queue.claim("worker-1", ROOM).claims == []


def test_others_have_the_worker_as_long_as_the_last_suspect_had_it(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    suspects(queue, leases)
    first = claim_one(queue)
    redis.hincrbyfloat(keys.ISOLATOR, "since", -60)
    assert succeed(queue, first)
    queue.submit(make_request("innocent"))

    claim = claim_one(queue)
    assert claim.job_id == "innocent"
    assert succeed(queue, claim)
    assert claim_one(queue).is_alone  # nobody else waits


def test_suspects_go_in_the_order_of_their_turns(queue: JobQueue, leases: Leases) -> None:
    for job_id, priority in (
        ("z", Priority.BATCH),
        ("b", Priority.DEFAULT),
        ("a", Priority.DEFAULT),
    ):
        queue.submit(make_request(job_id, priority=priority))
    for number in range(2):
        die_with(queue, leases, f"dead-{number}")

    order = []
    for _job in range(3):
        claim = claim_one(queue)
        order.append(claim.job_id)
        assert succeed(queue, claim)
    assert order == ["b", "a", "z"]


def test_a_suspect_that_runs_again_after_a_release_does_not_wait_for_itself(
    queue: JobQueue, leases: Leases
) -> None:
    suspects(queue, leases)
    first = claim_one(queue)
    leases.release([first])

    assert claim_one(queue, "worker-2").job_id == first.job_id


def test_a_released_suspect_is_still_one(queue: JobQueue, leases: Leases) -> None:
    suspects(queue, leases)
    leases.release([claim_one(queue)])

    assert claim_one(queue).is_alone


def test_no_job_outlives_more_deaths_than_allowed(redis: Client, settings: Settings) -> None:
    strict = settings.model_copy(update={"max_deaths": 1})
    queue, leases = JobQueue(redis, strict), Leases(redis, strict)
    queue.submit(make_request())
    die_with(queue, leases, "dead")

    assert queue.state("job-1") is JobState.FAILED


def test_the_replay_of_what_killed_its_workers_runs_alone(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    for number in range(3):
        die_with(queue, leases, f"dead-{number}")
    queue.submit(make_request("innocent"))
    replay = DeadLetters(queue).replay("job-1")

    claim = claim_one(queue)
    assert (claim.job_id, claim.is_alone) == (replay.job_id, True)
