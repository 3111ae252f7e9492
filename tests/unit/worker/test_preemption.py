"""Interactive jobs on a full worker: who makes room, and what becomes of it."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError
from structlog.testing import capture_logs

from batcher.admission import MicroBatchAdmission
from batcher.simulated import SimulatedEngine
from headrace.core import events
from headrace.core.connection import Client
from headrace.core.jobs.failpoints import ArmedFailpoints, Arming, Failpoint
from headrace.core.jobs.handover import Claim
from headrace.core.jobs.timeline import read_timeline
from headrace.core.settings import Settings
from headrace.core.types import JobState, Priority, Room
from tests.bench import Bench
from tests.fakes import make_request
from worker.slot_shares import SlotShares

SLOTS = 8
LONG = 200
BATCH, DEFAULT, INTERACTIVE = Priority.BATCH, Priority.DEFAULT, Priority.INTERACTIVE


class Killed(BaseException):
    """What a kill -9 does here: nothing of the worker runs any more."""


@pytest.fixture
def small(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_slots": SLOTS})


@pytest.fixture
def bench(redis: Client, small: Settings) -> Bench:
    return Bench(redis, small)


@pytest.fixture
def full(bench: Bench) -> Bench:
    """All slots run long default jobs, `usual-0` the most advanced; as many wait."""
    for number in range(SLOTS):
        submit(bench, f"usual-{number}", max_tokens=LONG)
        bench.turn(1)
    for number in range(SLOTS, 2 * SLOTS):
        submit(bench, f"usual-{number}", max_tokens=LONG)
    return bench


def submit(bench: Bench, name: str, priority: Priority = DEFAULT, max_tokens: int = 4) -> None:
    bench.submit(make_request(name, priority=priority, max_tokens=max_tokens))


def finish(bench: Bench) -> None:
    while bench.queue.waiting() or bench.worker.running:
        bench.turn(1)


def events_of(bench: Bench, name: str) -> list[str]:
    return [moment.event for moment in read_timeline(bench.redis, name)]


def test_an_interactive_job_has_its_first_token_in_the_next_step(full: Bench) -> None:
    submit(full, "now", INTERACTIVE)
    full.turn(1)

    assert full.text("now") == "h"


def test_the_youngest_job_makes_room_and_only_one(full: Bench) -> None:
    submit(full, "now", INTERACTIVE)
    full.turn(1)

    assert set(full.worker.running) == {"now", *(f"usual-{n}" for n in range(SLOTS - 1))}
    assert full.state("usual-7") is JobState.QUEUED


def test_batch_jobs_make_room_before_default_jobs(bench: Bench) -> None:
    for number in range(2):
        submit(bench, f"batch-{number}", BATCH, LONG)
    bench.turn(5)
    for number in range(SLOTS - 2):
        submit(bench, f"usual-{number}", DEFAULT, LONG)
    bench.turn(1)
    submit(bench, "now", INTERACTIVE)
    bench.turn(1)

    assert [name for name in ("batch-0", "batch-1") if name not in bench.worker.running] != []
    assert all(f"usual-{number}" in bench.worker.running for number in range(SLOTS - 2))


def test_a_preempted_job_is_the_next_of_its_queue_and_goes_on(full: Bench) -> None:
    submit(full, "now", INTERACTIVE, max_tokens=2)
    full.turn(1)
    streamed = full.text("usual-7")
    assert full.queue.get("usual-7").position == 0
    full.turn(2)

    assert "usual-7" in full.worker.running
    assert full.text("usual-7").startswith(streamed)
    assert len(full.text("usual-7")) == len(streamed) + 1


def test_of_several_the_most_advanced_goes_on_first(full: Bench) -> None:
    submit(full, "now-0", INTERACTIVE, max_tokens=1)
    submit(full, "now-1", INTERACTIVE, max_tokens=9)
    full.turn(2)

    assert "usual-6" in full.worker.running
    assert "usual-7" not in full.worker.running


def test_what_was_not_published_yet_is_published(redis: Client, small: Settings) -> None:
    bench = Bench(redis, small, publish_interval_ms=1_000_000)
    for number in range(SLOTS):
        submit(bench, f"usual-{number}", max_tokens=LONG)
    bench.turn(5)
    submit(bench, "now", INTERACTIVE)
    bench.turn(1)

    (victim,) = [n for n in range(SLOTS) if f"usual-{n}" not in bench.worker.running]
    assert bench.text(f"usual-{victim}") == "hello"


def test_a_stream_and_its_result_say_the_same_after_many_preemptions(bench: Bench) -> None:
    for number in range(SLOTS):
        submit(bench, f"usual-{number}", max_tokens=60)
    bench.turn(1)
    numbers = count()
    while any(name.startswith("usual") for name in bench.worker.running):
        submit(bench, f"now-{next(numbers)}", INTERACTIVE, max_tokens=2)
        bench.turn(5)
    finish(bench)

    assert sum("preempted" in events_of(bench, f"usual-{n}") for n in range(SLOTS)) > 1
    for number in range(SLOTS):
        result = bench.queue.get(f"usual-{number}").result
        assert result is not None
        assert bench.text(f"usual-{number}") == result["text"] == ("hello" * 12)


def test_a_preemption_is_no_attempt_and_no_death(full: Bench, redis: Client) -> None:
    submit(full, "now", INTERACTIVE, max_tokens=1)
    with capture_logs() as logs:
        full.turn(3)

    moves = [event for event in events_of(full, "usual-7") if "token" not in event]
    assert moves == ["accepted", "claimed", "preempted", "claimed"]
    attempt, deaths = redis.hmget("rq:job:usual-7", "hr_attempt", "hr_deaths")
    assert (attempt, deaths) == (b"1", None)
    assert full.worker.running["usual-7"].claim.preemptions == 1
    assert full.counters.read()["preempted"] == 1
    (line,) = [line for line in logs if line["event"] == "job preempted"]
    assert (line["job_id"], line["preemptions"]) == ("usual-7", 1)


def test_the_guaranteed_share_of_default_work_does_not_make_room(full: Bench) -> None:
    for number in range(SLOTS):
        submit(full, f"now-{number}", INTERACTIVE, LONG)
    full.turn(1)

    default = [name for name in full.worker.running if name.startswith("usual")]
    assert default == ["usual-0"]


def test_nothing_is_claimed_where_nothing_may_yield(bench: Bench) -> None:
    for number in range(SLOTS):
        submit(bench, f"now-{number}", INTERACTIVE, LONG)
    bench.turn(1)
    bench.queue.claim = None  # type: ignore[assignment, method-assign]  # a call would fail

    bench.turn(1)


def test_no_job_of_a_closed_batch_makes_room(full: Bench) -> None:
    room = full.engine.room()
    full.worker._admission = MicroBatchAdmission(0.0, full.clock)
    full.worker._shares = SlotShares(room, 0.125, full.worker._admission.may_preempt)
    submit(full, "now", INTERACTIVE)
    full.turn(1)

    assert full.state("now") is JobState.QUEUED


def test_a_job_that_was_cancelled_meanwhile_makes_room_and_ends(full: Bench) -> None:
    submit(full, "now", INTERACTIVE)
    full.queue.cancel("usual-7")
    full.turn(1)

    assert full.text("now") == "h"
    assert full.state("usual-7") is JobState.CANCELLED


def test_a_lost_answer_is_asked_for_again(full: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    preempt = full.leases.preempt
    answers = iter([RedisTimeoutError("lost"), None])

    def lose_first(claims: list[Claim]) -> int:
        count = preempt(claims)
        if error := next(answers):
            raise error
        return count

    monkeypatch.setattr(full.leases, "preempt", lose_first)
    submit(full, "now", INTERACTIVE)
    full.turn(1)

    assert full.text("now") == "h"
    assert events_of(full, "usual-7").count("preempted") == 1


def test_a_worker_killed_behind_a_preemption_loses_no_job(
    full: Bench, redis: Client, small: Settings
) -> None:
    def kill(_number: object) -> None:
        raise Killed

    full.worker._failpoints = ArmedFailpoints({Failpoint.AFTER_PREEMPT: Arming(1)}, kill)
    submit(full, "now", INTERACTIVE)
    with pytest.raises(Killed):
        full.turn(1)
    full.leases.take_back(full.worker.name)

    heir = Bench(redis, small, "worker-2")
    finish(heir)
    ended = Counter(record.job_id for record in events.completions(redis, 100))
    assert ended == Counter(["now", *(f"usual-{number}" for number in range(2 * SLOTS))])


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_endless_interactive_load_starves_neither_default_nor_batch_work(
    redis: Client, settings: Settings, slots: int
) -> None:
    """Twice as many interactive jobs as the worker can run, and backlogs of both others."""
    bench = Bench(redis, settings.model_copy(update={"max_slots": slots}))
    tokens: Counter[str] = Counter()
    for number in range(40):
        submit(bench, f"usual-{number}", DEFAULT, max_tokens=20)
        submit(bench, f"batch-{number}", BATCH, max_tokens=20)
    for turn in range(200):
        if turn % 10 == 0:
            for number in range(2 * slots):
                submit(bench, f"now-{turn}-{number}", INTERACTIVE, max_tokens=10)
        bench.turn(1)
        tokens.update(name.partition("-")[0] for name in bench.worker.running)

    row_steps = 200 * slots
    ended = Counter(r.job_id.partition("-")[0] for r in events.completions(redis, 10_000))
    assert tokens["now"] >= row_steps * 0.5
    for kind in ("usual", "batch"):
        if slots >= 4:
            assert ended[kind] >= 1
            assert tokens[kind] >= row_steps * 0.125 * 0.9
        else:  # too few to keep one
            assert tokens[kind] >= row_steps * 0.02


# -- answers that outgrow the cache ----------------------------------------------------------------


@pytest.fixture
def cramped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A cache of 400 tokens, though its slots could fill far more."""
    whole = bench.engine.room().tokens

    def room() -> Room:
        free = SimulatedEngine.room(bench.engine)
        return Room(free.slots, free.tokens - whole + 400)

    monkeypatch.setattr(bench.engine, "room", room)
    return bench


def held_tokens(bench: Bench) -> int:
    return sum(job.redo_tokens for job in bench.worker.running.values())


def test_answers_without_a_limit_share_a_cache_that_could_not_hold_their_limits(
    cramped: Bench,
) -> None:
    for number in range(4):
        cramped.submit(make_request(f"a-{number}", max_tokens=200, expected_tokens=190))
    cramped.turn(1)
    assert len(cramped.worker.running) == 4

    most = 0
    while cramped.queue.waiting() or cramped.worker.running:
        cramped.turn(1)
        most = max(most, held_tokens(cramped))
    assert 300 < most <= 400
    for number in range(4):
        assert cramped.queue.get(f"a-{number}").result["usage"]["completion_tokens"] == 200
        assert len(cramped.text(f"a-{number}")) == 200
    events = [event for number in range(4) for event in events_of(cramped, f"a-{number}")]
    assert 2 <= events.count("preempted") <= 8
    assert cramped.counters.read()["preempted"] == events.count("preempted")


def test_answers_with_a_limit_never_outgrow_the_cache(cramped: Bench) -> None:
    for number in range(4):
        cramped.submit(make_request(f"a-{number}", max_tokens=190))
    cramped.turn(1)
    assert len(cramped.worker.running) == 2

    finish(cramped)
    assert not any("preempted" in events_of(cramped, f"a-{number}") for number in range(4))
