"""Dead letters against a real server: read, replayed once, purged."""

from __future__ import annotations

import json

import pytest

from headrace.core.card_store import CardStore
from headrace.core.connection import Client
from headrace.core.errors import JobNotFound, NotReplayable, QueueFull, WrongState
from headrace.core.jobs import dead_letters as dead_letters_module
from headrace.core.jobs import keys
from headrace.core.jobs.dead_letter import Death
from headrace.core.jobs.dead_letters import DeadLetters
from headrace.core.jobs.job_list import read_page
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.roster import Roster
from headrace.core.settings import Settings
from headrace.core.types import JobState, Priority
from tests.fakes import make_card, make_request
from tests.unit.core.jobs.steps import bury, claim_one, everything, rq_job, succeed


@pytest.fixture
def letters(queue: JobQueue) -> DeadLetters:
    return DeadLetters(queue)


# -- looked at -------------------------------------------------------------------------------------


def test_a_dead_letter_says_what_became_of_its_job(
    queue: JobQueue, letters: DeadLetters, redis: Client
) -> None:
    bury(queue, make_request(priority=Priority.BATCH), error="two workers died of it")
    deaths = [
        {"worker": "worker-1", "at": 1000.5, "batch_size": 16},
        {"worker": "worker-2", "at": 2000.0, "batch_size": 1},
    ]
    redis.hset("rq:job:job-1", mapping={"hr_deaths": 2, "hr_died": json.dumps(deaths)})

    letter = letters.get("job-1")

    assert (letter.reason, letter.error) == ("dead", "two workers died of it")
    assert (letter.attempts, letter.deaths) == (1, 2)
    assert letter.died == (Death("worker-1", 1000.5, 16), Death("worker-2", 2000.0, 1))
    assert (letter.worker, letter.priority) == ("worker-1", Priority.BATCH)
    assert letter.request == make_request(priority=Priority.BATCH)
    assert letter.accepted <= letter.ended < (letter.forgotten or 0)
    assert (letter.replay_of, letter.replayed_as) == (None, None)


def test_a_job_that_workers_died_of_is_a_dead_letter(
    queue: JobQueue, letters: DeadLetters, leases: Leases, redis: Client, settings: Settings
) -> None:
    queue.submit(make_request())
    while not letters.list(1):
        claim_one(queue)
        redis.zadd(keys.LEASES, {"job-1": 1.0})
        leases.sweep()

    letter = letters.get("job-1")
    assert letter.reason == "dead"
    assert 1 <= letter.deaths == len(letter.died) <= settings.max_deaths
    assert {(death.worker, death.batch_size) for death in letter.died} == {("worker-1", 1)}
    assert "workers died" in letter.error
    assert letter.forgotten == pytest.approx(letter.ended + settings.result_ttl_s, abs=1)


def test_a_dead_letter_that_rq_keeps_for_ever_is_never_forgotten(
    queue: JobQueue, letters: DeadLetters, redis: Client
) -> None:
    bury(queue, make_request())
    redis.zadd(keys.DEAD, {"job-1": "+inf"})

    assert letters.get("job-1").forgotten is None


@pytest.mark.parametrize(
    ("fields", "batch_size"),
    [
        ({"hr_died": '[{"worker": "w", "at": 1, "batch_size": 16}]'}, 16),
        ({"hr_report": '{"batch_size": 2.5}'}, 2.5),
        ({"hr_report": '{"batch_size": 0.0}'}, None),
        ({"hr_report": ""}, None),
    ],
)
def test_the_batch_size_is_what_is_known_of_the_last_attempt(
    queue: JobQueue,
    letters: DeadLetters,
    redis: Client,
    fields: dict[str, str | int],
    batch_size: float | None,
) -> None:
    bury(queue, make_request())
    redis.hset("rq:job:job-1", mapping=fields)

    assert letters.get("job-1").batch_size == batch_size


def test_dead_letters_are_listed_newest_first(
    queue: JobQueue, letters: DeadLetters, redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters_module, "PAGE", 2)
    for place, name in enumerate("abcde"):
        bury(queue, make_request(name))
        redis.zadd(keys.DEAD, {name: redis.time()[0] + place})

    assert [letter.job_id for letter in letters.list(10)] == ["e", "d", "c", "b", "a"]
    assert [letter.job_id for letter in letters.list(3)] == ["e", "d", "c"]


def test_a_job_that_cannot_be_read_is_listed_all_the_same(
    queue: JobQueue, letters: DeadLetters, redis: Client
) -> None:
    bury(queue, make_request(), reason="refused", error="payload version 9, this worker knows 1")
    redis.hset("rq:job:job-1", "data", b"nothing that RQ wrote")

    (letter,) = letters.list(10)
    assert letter.request is None
    assert letter.error == "payload version 9, this worker knows 1"


def test_a_job_that_is_no_dead_letter_is_not_found(queue: JobQueue, letters: DeadLetters) -> None:
    queue.submit(make_request())
    succeed(queue, claim_one(queue), result=None, reason="engine_error", error="broken")

    for job_id in ("job-1", "nobody"):
        with pytest.raises(JobNotFound, match=job_id):
            letters.get(job_id)
    assert letters.list(10) == []


def test_a_dead_letter_that_rq_requeued_or_deleted_is_none_any_more(
    queue: JobQueue, letters: DeadLetters, redis: Client
) -> None:
    bury(queue, make_request("requeued"))
    bury(queue, make_request("deleted"))
    bury(queue, make_request("dead"))
    rq_job(redis, "requeued").requeue()
    rq_job(redis, "deleted").delete()

    assert [letter.job_id for letter in letters.list(10)] == ["dead"]
    with pytest.raises(JobNotFound):
        letters.purge("requeued")


# -- replayed --------------------------------------------------------------------------------------


def test_a_replay_is_a_new_job_with_the_same_request(queue: JobQueue, letters: DeadLetters) -> None:
    request = make_request(priority=Priority.BATCH, tenant="acme", deadline_s=60.0)
    bury(queue, request)

    submitted = letters.replay("job-1")

    assert submitted.job_id != "job-1"
    replay = queue.get(submitted.job_id)
    assert replay.state is JobState.QUEUED
    assert replay.replay_of == "job-1"
    assert replay.request == make_request(
        submitted.job_id, priority=Priority.BATCH, tenant="acme", deadline_s=60.0
    )
    assert succeed(queue, claim_one(queue))
    assert letters.get("job-1").replayed_as == submitted.job_id


def test_the_deadline_of_a_replay_counts_from_the_replay(
    queue: JobQueue, letters: DeadLetters, redis: Client
) -> None:
    bury(queue, make_request(deadline_s=60.0))
    redis.hset("rq:job:job-1", "hr_deadline", 1.0)

    submitted = letters.replay("job-1")

    assert claim_one(queue).remaining_s == pytest.approx(60.0, abs=1.0)
    deadline = float(redis.hget(f"rq:job:{submitted.job_id}", "hr_deadline"))
    assert deadline == pytest.approx(submitted.accepted + 60.0)


def test_a_replay_keeps_a_priority_that_was_changed(queue: JobQueue, letters: DeadLetters) -> None:
    queue.submit(make_request())
    queue.reprioritise("job-1", Priority.INTERACTIVE)
    bury(queue, make_request())

    assert queue.get(letters.replay("job-1").job_id).request.priority is Priority.INTERACTIVE


def test_a_replay_asked_for_twice_is_one_job(queue: JobQueue, letters: DeadLetters) -> None:
    bury(queue, make_request())

    first, second = letters.replay("job-1"), letters.replay("job-1")

    assert first.job_id == second.job_id
    assert queue.waiting() == 1


def test_a_replay_asked_for_again_after_it_has_run_does_not_run_again(
    queue: JobQueue, letters: DeadLetters
) -> None:
    bury(queue, make_request())
    replay = letters.replay("job-1")
    succeed(queue, claim_one(queue))

    assert letters.replay("job-1").job_id == replay.job_id
    assert queue.state(replay.job_id) is JobState.SUCCEEDED
    assert queue.waiting() == 0


def test_a_replay_cut_off_before_it_was_noted_is_found_by_the_next(
    queue: JobQueue, letters: DeadLetters, redis: Client
) -> None:
    bury(queue, make_request())
    replay = letters.replay("job-1")
    redis.hdel("rq:job:job-1", "hr_replayed_as")

    assert letters.replay("job-1").job_id == replay.job_id
    assert queue.waiting() == 1
    assert letters.get("job-1").replayed_as == replay.job_id


def test_a_forced_replay_is_a_job_of_its_own(queue: JobQueue, letters: DeadLetters) -> None:
    bury(queue, make_request())
    first = letters.replay("job-1")

    forced = letters.replay("job-1", force=True)

    assert forced.job_id != first.job_id
    assert queue.waiting() == 2
    assert letters.replay("job-1").job_id == forced.job_id


def test_a_job_that_died_requeued_and_died_again_can_be_replayed_again(
    queue: JobQueue, letters: DeadLetters, redis: Client
) -> None:
    bury(queue, make_request())
    first = letters.replay("job-1")
    succeed(queue, claim_one(queue))
    rq_job(redis).requeue()
    succeed(queue, claim_one(queue), result=None, reason="dead", error="again")
    redis.zadd(keys.DEAD, {"job-1": redis.time()[0] + 60})

    assert letters.get("job-1").replayed_as is None
    assert letters.replay("job-1").job_id != first.job_id
    assert queue.waiting() == 1


def test_a_dead_letter_gone_meanwhile_is_not_brought_back_by_its_replay(
    queue: JobQueue, letters: DeadLetters, redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(queue, make_request())
    letter = letters.get("job-1")
    queue.purge("job-1")
    monkeypatch.setattr(letters, "get", lambda _job_id: letter)

    letters.replay("job-1")

    assert not redis.exists("rq:job:job-1")


def test_a_replay_into_a_full_queue_is_refused_and_not_noted(
    queue: JobQueue, redis: Client, settings: Settings
) -> None:
    bury(queue, make_request())
    queue.submit(make_request("other"))
    full = JobQueue(redis, settings.model_copy(update={"queue_max_jobs": 1}))

    with pytest.raises(QueueFull):
        DeadLetters(full).replay("job-1")
    assert DeadLetters(queue).get("job-1").replayed_as is None


def test_a_job_that_cannot_be_read_cannot_be_replayed(
    queue: JobQueue, letters: DeadLetters, redis: Client
) -> None:
    bury(queue, make_request(), reason="refused", error="payload version 9")
    redis.hset("rq:job:job-1", "data", b"nothing that RQ wrote")

    with pytest.raises(NotReplayable, match="cannot be read: payload version 9"):
        letters.replay("job-1")
    assert queue.waiting() == 0


def test_a_job_for_another_model_can_be_replayed_once_its_model_is_back(
    queue: JobQueue, letters: DeadLetters, redis: Client
) -> None:
    card, other = make_card(), make_card("other")
    bury(queue, make_request(card_hash=card.hash), reason="refused", error="another model")
    CardStore(redis).put(other)
    with pytest.raises(NotReplayable, match="another model"):
        letters.replay("job-1")
    assert queue.waiting() == 0

    CardStore(redis).put(card)

    assert queue.state(letters.replay("job-1").job_id) is JobState.QUEUED


def test_a_job_for_another_model_can_be_replayed_while_a_worker_of_its_model_lives(
    queue: JobQueue, letters: DeadLetters, redis: Client
) -> None:
    bury(queue, make_request(card_hash="0123"), reason="engine_error", error="broken")
    CardStore(redis).put(make_card())
    Roster(redis, ttl_s=60).serve("0123")

    assert queue.state(letters.replay("job-1").job_id) is JobState.QUEUED


# -- purged ----------------------------------------------------------------------------------------


def test_a_purged_dead_letter_is_gone_but_for_its_completion_record(
    queue: JobQueue, letters: DeadLetters, redis: Client
) -> None:
    bury(queue, make_request())

    letters.purge("job-1")

    assert letters.list(10) == []
    kept = everything(redis)
    assert [key for key in kept if b"job-1" in key + kept[key]] == [keys.COMPLETIONS.encode()]


def test_only_a_dead_letter_can_be_purged_as_one(queue: JobQueue, letters: DeadLetters) -> None:
    queue.submit(make_request())
    succeed(queue, claim_one(queue))

    with pytest.raises(JobNotFound, match="job-1"):
        letters.purge("job-1")
    assert queue.state("job-1") is JobState.SUCCEEDED


def test_a_dead_letter_requeued_at_this_moment_is_not_purged(
    queue: JobQueue, letters: DeadLetters, redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(queue, make_request())
    letter = letters.get("job-1")
    rq_job(redis).requeue()
    monkeypatch.setattr(letters, "get", lambda _job_id: letter)

    with pytest.raises(WrongState, match="waits or runs"):
        letters.purge("job-1")
    assert queue.state("job-1") is JobState.QUEUED


def test_all_dead_letters_are_purged_and_nothing_else(
    queue: JobQueue, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters_module, "PAGE", 2)
    for name in "abc":
        bury(queue, make_request(name))
    queue.submit(make_request("waits"))

    assert letters.purge_all() == 3
    assert letters.purge_all() == 0
    assert [job.id for job in read_page(queue, 10).jobs] == ["waits"]


def test_only_dead_letters_of_an_age_are_purged(
    queue: JobQueue, letters: DeadLetters, redis: Client
) -> None:
    bury(queue, make_request("old"))
    bury(queue, make_request("new"))
    redis.hset("rq:job:old", "hr_committed", redis.time()[0] - 3600)

    assert letters.purge_all(older_than_s=3000) == 1
    assert [letter.job_id for letter in letters.list(10)] == ["new"]
