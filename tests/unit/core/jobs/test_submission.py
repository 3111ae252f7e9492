"""Several requests in one submission, and the key that names it."""

from __future__ import annotations

from dataclasses import replace

import hypothesis
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given
from redis.exceptions import ResponseError

from headrace.core.connection import Client
from headrace.core.errors import DeadlineUnmeetable, IdempotencyConflict, JobNotFound, QueueFull
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.handover import Idempotency
from headrace.core.jobs.pace import Pace, Place
from headrace.core.jobs.queue import JobQueue
from headrace.core.jobs.submission import MOST_AT_ONCE, Submission
from headrace.core.settings import Settings
from headrace.core.types import JobState, Priority, Request, Room
from tests.fakes import make_request
from tests.unit.core.jobs.steps import claim_one, succeed

KEY = Idempotency("key-1", "fingerprint")
COST = make_request().cost_tokens
PACE = Pace(slots=1, tokens_per_s=COST, prefill_s=0.0, decode_s=0.25)
"""One job ends each second; it runs for one."""


def requests(*ids: str) -> list[Request]:
    return [make_request(job_id) for job_id in ids]


def bounded(redis: Client, settings: Settings, **bounds: int) -> JobQueue:
    return JobQueue(redis, settings.model_copy(update=bounds))


# -- all or none -----------------------------------------------------------------------------------


def test_all_requests_of_a_list_are_accepted_in_their_order(queue: JobQueue) -> None:
    submitted = queue.submit_all(requests("a", "b", "c"))

    assert [job.job_id for job in submitted] == ["a", "b", "c"]
    claimed = queue.claim("w", Room(slots=8, tokens=1000)).claims
    assert [claim.job_id for claim in claimed] == ["a", "b", "c"]


@pytest.mark.parametrize("bounds", [{"queue_max_jobs": 3}, {"queue_max_tokens": 3 * COST}])
def test_a_list_that_does_not_fit_as_a_whole_is_refused_as_a_whole(
    redis: Client, settings: Settings, bounds: dict[str, int]
) -> None:
    queue = bounded(redis, settings, **bounds)
    queue.submit_all(requests("a", "b"))

    with pytest.raises(QueueFull, match=f"2 jobs with {2 * COST} tokens wait"):
        queue.submit_all(requests("c", "d"))

    assert queue.waiting() == 2
    for job_id in ("c", "d"):
        with pytest.raises(JobNotFound):
            queue.get(job_id)
    assert len(queue.submit_all(requests("e"))) == 1


def test_one_request_is_never_too_large_for_an_empty_queue(
    redis: Client, settings: Settings
) -> None:
    assert bounded(redis, settings, queue_max_tokens=1).submit(make_request()).is_new


def test_a_list_submitted_twice_is_queued_once(queue: JobQueue) -> None:
    first, again = queue.submit_all(requests("a", "b")), queue.submit_all(requests("a", "b"))

    assert [(job.job_id, job.accepted) for job in again] == [
        (job.job_id, job.accepted) for job in first
    ]
    assert (first[0].is_new, again[0].is_new) == (True, False)
    assert queue.waiting() == 2


def test_what_was_accepted_knows_its_place_as_the_queue_shows_it(queue: JobQueue) -> None:
    queue.submit(make_request("running"))
    claim_one(queue)
    queue.submit_all(requests("a", "b"))
    queue.submit(make_request("last", priority=Priority.BATCH))
    queue.submit(make_request("other", tenant="other"))
    submitted = queue.submit_all(
        [
            make_request("first", priority=Priority.INTERACTIVE),
            make_request("c"),
            make_request("d"),
        ]
    )

    assert [job.place for job in submitted] == [
        Place(0, 0, 1, False),
        Place(4, 4 * COST, 1, False),
        Place(5, 5 * COST, 1, False),
    ]
    assert [queue.get(name).place for name in ("first", "c", "d")] == [
        job.place for job in submitted
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(Priority), st.sampled_from("ab"), st.integers(1, 50), st.booleans()
        ),
        max_size=12,
    )
)
@hypothesis.settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_new_job_s_place_is_the_one_that_the_queue_gives_it(
    queue: JobQueue, redis: Client, steps: list[tuple[Priority, str, int, bool]]
) -> None:
    redis.flushall()
    for number, (priority, tenant, max_tokens, is_claimed) in enumerate(steps):
        request = make_request(
            f"job-{number}", priority=priority, tenant=tenant, max_tokens=max_tokens
        )
        [submitted] = queue.submit_all([request])
        shown = queue.get(request.id).place
        assert submitted.place is not None
        assert shown is not None
        assert (submitted.place.jobs, submitted.place.running, submitted.place.is_full) == (
            shown.jobs,
            shown.running,
            shown.is_full,
        )
        if is_claimed:
            queue.claim("worker-1", Room(slots=1, tokens=10_000))


# -- idempotency -----------------------------------------------------------------------------------


def test_a_key_names_all_jobs_of_its_list(queue: JobQueue) -> None:
    queue.submit_all(requests("a", "b"), KEY)
    again = queue.submit_all(requests("c", "d"), KEY)

    assert [(job.job_id, job.is_new) for job in again] == [("a", False), ("b", False)]
    assert queue.waiting() == 2


def test_a_key_for_another_list_is_a_conflict_that_names_the_jobs(queue: JobQueue) -> None:
    queue.submit_all(requests("a", "b"), KEY)

    with pytest.raises(IdempotencyConflict, match="job a, b"):
        queue.submit_all(requests("c"), replace(KEY, fingerprint="another"))
    assert queue.waiting() == 2


def test_a_key_is_its_tenant_s_alone(queue: JobQueue) -> None:
    first = queue.submit(make_request("a", tenant="one"), KEY)
    second = queue.submit(make_request("b", tenant="two"), KEY)

    assert (first.job_id, second.job_id) == ("a", "b")


def test_a_key_is_known_although_the_queue_is_full(redis: Client, settings: Settings) -> None:
    queue = bounded(redis, settings, queue_max_jobs=1)
    queue.submit(make_request("a"), KEY)

    assert queue.submit(make_request("b"), KEY).job_id == "a"


def test_a_key_is_kept_as_long_as_its_job_may_wait_and_be_kept(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request("a", ttl_s=600_000), KEY)
    key = keys.idempotency("default", "key-1")
    assert redis.ttl(key) == pytest.approx(686_400, abs=5)

    redis.expire(key, 5)  # it has waited for long
    succeed(queue, claim_one(queue))
    assert redis.ttl(key) == pytest.approx(600_000, abs=5)


def test_a_key_is_forgotten_with_the_first_of_its_jobs(queue: JobQueue, redis: Client) -> None:
    queue.submit_all(requests("a", "b"), KEY)
    redis.delete("rq:job:b")

    assert [job.job_id for job in queue.submit_all(requests("c", "d"), KEY)] == ["c", "d"]


# -- how long a job is kept ------------------------------------------------------------------------


def test_a_job_is_kept_for_as_long_as_it_asks(queue: JobQueue, redis: Client) -> None:
    for job_id in ("done", "failed"):
        queue.submit(make_request(job_id, ttl_s=60))
        result = {} if job_id == "done" else {"result": None, "reason": "x", "error": "broken"}
        succeed(queue, claim_one(queue), **result)
    queue.submit(make_request("cancelled", ttl_s=60))
    queue.cancel("cancelled")

    for job_id in ("done", "failed", "cancelled"):
        assert 55 < redis.ttl(f"rq:job:{job_id}") <= 60
        assert 55 < redis.ttl(keys.stream(job_id)) <= 60


def test_a_cancelled_job_is_listed_for_as_long_as_it_is_kept(
    queue: JobQueue, redis: Client, settings: Settings
) -> None:
    queue.submit(make_request(ttl_s=2 * settings.result_ttl_s))
    queue.cancel("job-1")

    stays = redis.zscore("rq:canceled:headrace-default", "job-1") + settings.result_ttl_s
    now, _microseconds = redis.time()
    assert stays == pytest.approx(now + 2 * settings.result_ttl_s, abs=5)
    assert queue.get("job-1").state is JobState.CANCELLED


# -- deadlines that the backlog cannot meet --------------------------------------------------------


def crowd(queue: JobQueue, waiting: int) -> None:
    """A fleet that is full, with so many left waiting."""
    queue.submit_all(requests(*(f"job-{number}" for number in range(waiting + 1))))
    queue.claim("worker-1", Room(slots=1, tokens=1000))


def test_a_deadline_behind_too_much_is_refused_with_what_to_expect(queue: JobQueue) -> None:
    crowd(queue, waiting=9)  # 9 end, one more, and then it runs: 11 s

    with pytest.raises(DeadlineUnmeetable, match=r"in about 11\.0 s") as refusal:
        queue.submit_all([make_request("late", deadline_s=6)], pace=PACE)

    assert refusal.value.retry_after_s == 5
    with pytest.raises(JobNotFound):
        queue.get("late")


def test_of_a_list_each_waits_for_those_before_it(queue: JobQueue) -> None:
    crowd(queue, waiting=9)
    twins = [make_request(name, deadline_s=11.5) for name in ("one", "two")]

    assert queue.submit_all(twins[:1], pace=PACE)[0].is_new
    queue.cancel("one")
    with pytest.raises(DeadlineUnmeetable, match=r"in about 12\.0 s"):
        queue.submit_all([replace(twins[0], id="three"), twins[1]], pace=PACE)
    assert queue.waiting() == 9


def test_a_deadline_that_can_be_met_is_accepted(queue: JobQueue) -> None:
    crowd(queue, waiting=9)

    [submitted] = queue.submit_all([make_request("in-time", deadline_s=12)], pace=PACE)
    assert submitted.is_new


def test_an_empty_queue_refuses_no_deadline(queue: JobQueue) -> None:
    crowd(queue, waiting=1)
    queue.cancel("job-1")

    [submitted] = queue.submit_all([make_request("hasty", deadline_s=0.01)], pace=PACE)
    assert submitted.is_new


def test_a_fleet_with_room_refuses_no_deadline(queue: JobQueue) -> None:
    queue.submit_all(requests(*"abcdefghi"))

    [submitted] = queue.submit_all([make_request("hasty", deadline_s=0.01)], pace=PACE)
    assert submitted.is_new


# -- many submissions in one call ------------------------------------------------------------------

MIXED = [
    ("a", Priority.DEFAULT),
    ("a", Priority.DEFAULT),
    ("b", Priority.DEFAULT),
    ("a", Priority.INTERACTIVE),
    ("b", Priority.BATCH),
    ("b", Priority.DEFAULT),
    ("c", Priority.DEFAULT),
    ("a", Priority.DEFAULT),
]


def mixed(first: int) -> list[Request]:
    return [
        replace(make_request(f"job-{number}"), tenant=tenant, priority=priority)
        for number, (tenant, priority) in enumerate(MIXED, first)
    ]


def claimed_ids(queue: JobQueue) -> list[str]:
    return [claim.job_id for claim in queue.claim("w", Room(slots=100, tokens=10_000)).claims]


def test_jobs_that_come_together_stand_where_they_would_have_stood_one_by_one(
    redis: Client, queue: JobQueue
) -> None:
    requests = [*mixed(0), *mixed(100)]
    places = [queue.submit(request).place for request in requests]
    order = claimed_ids(queue)
    redis.flushdb()

    queue.submit_many(requests[:3])
    together = queue.submit_many(requests[3:])

    assert [getattr(job, "place", None) for job in together] == places[3:]
    assert claimed_ids(queue) == order


def test_more_jobs_than_one_call_takes_are_accepted_all_the_same(queue: JobQueue) -> None:
    names = [f"job-{number}" for number in range(2 * MOST_AT_ONCE + 1)]

    submitted = queue.submit_many(requests(*names))

    assert [getattr(job, "job_id", None) for job in submitted] == names
    assert queue.waiting() == len(names)


def test_a_submission_that_redis_refuses_leaves_those_beside_it(
    redis: Client, queue: JobQueue
) -> None:
    redis.set(rq_adapter.job_key("b"), "no hash")
    calls = [queue.prepare(Submission(requests(name))) for name in "abc"]

    first, second, third = queue.send_many(calls)

    assert [first.submitted()[0].job_id, third.submitted()[0].job_id] == ["a", "c"]
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        second.submitted()
    assert second.usages == []
    assert queue.waiting() == 2
