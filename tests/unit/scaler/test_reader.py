"""What the scaler reads, and when it says that it knows nothing."""

from __future__ import annotations

from dataclasses import fields

import pytest

from headrace.core.connection import Client, connect
from headrace.core.jobs import keys
from headrace.core.roster import Roster, number_of
from headrace.core.settings import Settings
from headrace.core.step_sums import StepSums
from headrace.core.types import Priority
from scaler import reader as reader_module
from scaler.reader import Reader
from scaler.readings import Load, Readings, Unknown
from tests.bench import Bench
from tests.fakes import FakeClock, make_request
from tests.unit.worker.test_heartbeat import heartbeat_of

COST = make_request().cost_tokens


def read(redis: Client) -> Readings:
    reading = Reader(redis, stale_s=6.0, clock=FakeClock(), number_of=number_of).read()
    assert isinstance(reading, Readings), reading
    return reading


def reason(redis: Client, clock: FakeClock | None = None) -> str:
    reading = Reader(redis, stale_s=6.0, clock=clock or FakeClock(), number_of=number_of).read()
    assert isinstance(reading, Unknown), reading
    return reading.reason


def beat(bench: Bench) -> None:
    heartbeat_of(bench, Roster(bench.redis, ttl_s=60)).beat()


def test_an_idle_fleet_holds_zeros_and_no_latency(bench: Bench, redis: Client) -> None:
    reading = read(redis)
    assert reading.waiting == reading.running == reading.arrived == reading.completed == Load()
    assert (reading.steps, reading.p95_s, reading.oldest_wait_s) == (StepSums(), None, 0.0)
    assert reading.at == pytest.approx(redis.time()[0], abs=2)
    assert reading.run_id == redis.info("server")["run_id"]


def test_jobs_of_another_card_are_no_work_for_more_workers(bench: Bench, redis: Client) -> None:
    bench.submit(*(make_request(f"old-{n}", card_hash="0123", model="old") for n in range(3)))
    bench.turn(1)
    bench.submit(make_request("new"))

    assert read(redis).waiting == Load(1, COST)


def test_jobs_of_the_card_that_is_served_are_work_again(bench: Bench, redis: Client) -> None:
    bench.submit(make_request("old-1", card_hash="0123", model="old"))
    bench.turn(1)
    redis.hset(keys.CARD, "hash", "0123")

    assert read(redis).waiting == Load(1, COST)


def test_what_waits_runs_came_and_ended_is_told_in_jobs_and_tokens(
    bench: Bench, redis: Client
) -> None:
    bench.submit(*(make_request(f"job-{n}", priority=p) for n, p in enumerate(Priority)))
    bench.turn(1)
    beat(bench)

    reading = read(redis)
    assert reading.arrived == Load(3, 3 * COST)
    assert reading.waiting == Load(1, COST)
    assert reading.running == Load(2, 2 * 3)
    assert reading.completed == Load()
    assert reading.oldest_wait_s > 0

    bench.turn(9)
    beat(bench)
    reading = read(redis)
    assert (reading.waiting, reading.running) == (Load(), Load())
    assert reading.completed == reading.arrived
    assert reading.produced == 3 * 4


def test_a_job_that_is_sent_twice_arrives_once(bench: Bench, redis: Client) -> None:
    bench.submit(make_request(), make_request())
    assert read(redis).arrived == Load(1, COST)


def test_the_steps_of_a_worker_add_up_to_the_sums_of_a_curve(bench: Bench, redis: Client) -> None:
    bench.submit(make_request("a"), make_request("b"))
    bench.turn(9)
    beat(bench)

    steps = read(redis).steps
    assert (steps.n, steps.r, steps.rr) == (4, 8, 16)
    assert (steps.p, steps.pp, steps.rp) == (10, 100, 20)
    assert [each.name for each in fields(StepSums)][-2:] == ["rs", "ps"]


def test_seconds_are_read_in_seconds(bench: Bench, redis: Client) -> None:
    redis.hset(keys.COUNTS, mapping={"steps:n": 2, "steps:s": 300_000, "steps:ps": 500_000})
    steps = read(redis).steps
    assert (steps.n, steps.s, steps.ps) == (2, 0.3, 0.5)


def test_the_latency_is_that_of_jobs_that_succeeded_in_the_last_minute(
    bench: Bench, redis: Client
) -> None:
    now = redis.time()[0]

    def completed(seconds_ago: int, latency_s: float, status: str = "finished") -> None:
        stamps = f"{now - latency_s} 0 0 0 {now}"
        fields = {"id": "x", "status": status, "reason": "", "report": "", "stamps": stamps}
        redis.xadd(keys.COMPLETIONS, fields, id=f"{(now - seconds_ago) * 1000}-*")

    completed(90, 99.0)
    for tenths in range(1, 20):
        completed(20, tenths / 10)
    completed(10, 50.0)
    completed(5, 70.0, status="failed")

    assert read(redis).p95_s == pytest.approx(1.9, abs=0.001)


def test_cold_starts_and_deaths_are_those_of_the_present_fleet(bench: Bench, redis: Client) -> None:
    Roster(redis, ttl_s=60).arrive("worker-1-a3f9", age_s=3.5)
    redis.zadd(keys.DEATHS, {"worker-2-b": 17.0})

    reading = read(redis)
    assert (reading.cold_starts_s, reading.deaths) == ((3.5,), (17.0,))


def test_a_server_that_is_away_is_unknown() -> None:
    assert reason(connect("redis://127.0.0.1:1", 0.1)).startswith("Redis does not answer")


def test_an_empty_server_is_unknown_and_not_idle(bench: Bench, redis: Client) -> None:
    redis.flushall()
    assert "empty" in reason(redis)


def test_a_server_that_has_just_begun_is_unknown_until_workers_told_it_of_themselves(
    bench: Bench, redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "SETTLE_S", float("inf"))
    assert "the server started" in reason(redis)


def test_a_suspended_fleet_is_unknown_as_all_of_it_drains(bench: Bench, redis: Client) -> None:
    redis.set("rq:suspended", 1)
    assert "rq suspend" in reason(redis)


def test_a_reading_that_took_too_long_is_stale(bench: Bench, redis: Client) -> None:
    class SlowClock(FakeClock):
        def now(self) -> float:
            self.time += 7.0
            return self.time

    assert reason(redis, SlowClock()) == "stale: reading took 7.0 s"


@pytest.mark.parametrize("tokens", ["-5", "nan", "inf"])
def test_tokens_that_cannot_be_are_unknown(bench: Bench, redis: Client, tokens: str) -> None:
    redis.hset(keys.share("headrace-default"), "tokens", tokens)
    assert reason(redis).startswith("contradictory")


def test_tokens_that_belong_to_no_job_are_unknown(bench: Bench, redis: Client) -> None:
    redis.hset(keys.share("headrace-default"), "tokens", 9)
    assert reason(redis) == "contradictory: 9 tokens wait, and no job"


@pytest.mark.parametrize(
    ("key", "field"),
    [(keys.COUNTS, "accepted"), (keys.FLEET, "size"), (keys.STARTING, "worker-1-a")],
)
def test_what_nobody_can_read_is_unknown(bench: Bench, redis: Client, key: str, field: str) -> None:
    redis.hset(key, field, "many")
    assert "nobody can read" in reason(redis)


def test_a_key_of_another_type_is_unknown(bench: Bench, redis: Client) -> None:
    redis.set(keys.DEATHS, "none")
    assert "WRONGTYPE" in reason(redis)


def test_it_takes_two_round_trips(
    bench: Bench, redis: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(make_request("a"), make_request("b"), make_request("c"))
    bench.turn(1)
    beat(bench)
    trips = []
    pipeline = redis.pipeline

    def counted(transaction: bool) -> Client:
        trips.append(transaction)
        return pipeline(transaction=transaction)

    monkeypatch.setattr(redis, "pipeline", counted)
    monkeypatch.setattr(redis, "execute_command", lambda *_: pytest.fail("a trip of its own"))
    read(redis)
    assert trips == [True, False]
