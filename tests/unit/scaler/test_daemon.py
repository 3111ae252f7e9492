"""One tick after another: who leads, what a person wants, and what is noted."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from unittest.mock import Mock

import pytest
from redis.exceptions import RedisError
from structlog.testing import capture_logs

from headrace.core.connection import Client, connect
from headrace.core.decision_log import Record, decisions
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.jobs import keys
from headrace.core.jobs.failpoints import Failpoint
from headrace.core.leadership import Leadership, Spectator
from headrace.core.roster import Roster, WorkerState, number_of
from headrace.core.settings import Settings
from headrace.core.types import EngineStats
from scaler.daemon import NOTED_EVERY_S, Daemon
from scaler.decision import Decision
from scaler.mind import Mind
from scaler.processes import ProcessFleet
from scaler.reader import Reader
from scaler.readings import Reading, Readings
from tests.bench import Bench
from tests.fakes import FakeClock, make_request


class JobsMind:
    """A worker for every job that waits or runs."""

    def __init__(self, size: int | None) -> None:
        self.began_with = size
        self.heard: list[Reading] = []

    def decide(self, reading: Reading, now: float) -> Decision:
        self.heard.append(reading)
        if not isinstance(reading, Readings):
            return Decision(0, f"held: {reading.reason}", holds=True)
        jobs = reading.waiting.jobs + reading.running.jobs
        return Decision(jobs, f"{jobs} jobs at {now:.0f}", is_limited=jobs > 9)


class Scaler:
    def __init__(
        self,
        redis: Client,
        settings: Settings,
        name: str = "scaler-1",
        make: Callable[..., Leadership] = Leadership,
    ) -> None:
        self.clock = FakeClock()
        self.minds: list[JobsMind] = []
        self.leadership = make(redis, settings, name, lease_s=6.0)
        self.daemon = Daemon(
            Reader(redis, 6.0, self.clock, number_of),
            self.leadership,
            DesiredFleet(redis, settings),
            ProcessFleet(redis, self.leadership),
            self._make_mind,
            settings,
            self.clock,
        )

    def _make_mind(self, size: int | None) -> Mind:
        self.minds.append(JobsMind(size))
        return self.minds[-1]

    def tick(self, seconds: float = 2.0) -> Record | None:
        self.clock.sleep(seconds)
        return self.daemon.tick()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"scaler_max": 4, "scaler_min": 1})


@pytest.fixture
def fleet(redis: Client, settings: Settings, bench: Bench) -> DesiredFleet:
    fleet = DesiredFleet(redis, settings)
    fleet.muster(2)
    return fleet


@pytest.fixture
def scaler(redis: Client, settings: Settings, fleet: DesiredFleet) -> Scaler:
    return Scaler(redis, settings)


def submit(bench: Bench, jobs: int) -> None:
    bench.submit(*(make_request(f"job-{number}") for number in range(jobs)))


def test_the_fleet_gets_the_size_that_the_policy_wants(
    scaler: Scaler, fleet: DesiredFleet, bench: Bench
) -> None:
    submit(bench, 3)
    record = scaler.tick()

    assert record is not None
    assert (record.wanted, record.size, record.mode) == (3, 3, "auto")
    assert fleet.read().size == 3
    assert scaler.minds[-1].began_with == 2


@pytest.mark.parametrize(("jobs", "size"), [(0, 1), (9, 4)])
def test_never_more_nor_fewer_than_the_bounds(
    scaler: Scaler, fleet: DesiredFleet, bench: Bench, jobs: int, size: int
) -> None:
    submit(bench, jobs)
    scaler.tick()
    assert fleet.read().size == size


def test_what_is_unknown_changes_nothing(
    scaler: Scaler, fleet: DesiredFleet, redis: Client
) -> None:
    redis.delete(keys.CARD)
    record = scaler.tick()

    assert record is not None
    assert (record.wanted, record.size) == (None, None)
    assert "empty" in record.reason
    assert fleet.read().size == 2


def test_workers_that_are_too_many_drain(
    scaler: Scaler, fleet: DesiredFleet, redis: Client
) -> None:
    for number in (1, 2):
        state = WorkerState(f"worker-{number}-a", "ready", 1, "fake", EngineStats())
        Roster(redis, ttl_s=60).beat(state)
    scaler.tick()

    assert redis.smembers(keys.DRAINING) == {b"worker-2-a"}


def test_a_fleet_that_is_paused_stays_though_more_is_wanted(
    scaler: Scaler, fleet: DesiredFleet, bench: Bench
) -> None:
    fleet.pause()
    submit(bench, 4)
    record = scaler.tick()

    assert record is not None
    assert (record.wanted, record.size, record.mode) == (4, 2, "paused")
    assert fleet.read().size == 2


def test_a_number_that_a_person_fixed_stands_even_beyond_the_bounds_and_when_nothing_is_known(
    scaler: Scaler, fleet: DesiredFleet, redis: Client
) -> None:
    fleet.fix(7)
    redis.delete(keys.CARD)
    scaler.tick()
    assert fleet.read().size == 7


def test_who_gets_the_fleet_back_begins_with_what_is_there(
    scaler: Scaler, fleet: DesiredFleet
) -> None:
    fleet.fix(3)
    scaler.tick()
    scaler.tick()
    fleet.auto()
    scaler.tick()

    assert scaler.minds[-1].began_with == 3
    assert len(scaler.minds[-1].heard) == 1


def test_of_two_scalers_one_acts(
    scaler: Scaler, redis: Client, settings: Settings, fleet: DesiredFleet, bench: Bench
) -> None:
    other = Scaler(redis, settings, "scaler-2")
    scaler.tick()
    submit(bench, 4)
    assert other.tick() is None
    assert fleet.read().size == 1

    redis.hset(keys.SCALER, "until", 1)  # the first was killed, and its lease is over
    assert other.tick() is not None
    assert fleet.read().size == 4
    assert scaler.tick() is None


def test_a_successor_begins_anew_with_the_size_that_it_finds(
    scaler: Scaler, redis: Client, settings: Settings, fleet: DesiredFleet, bench: Bench
) -> None:
    submit(bench, 3)
    scaler.tick()
    redis.hset(keys.SCALER, "until", 1)
    successor = Scaler(redis, settings, "scaler-2")
    successor.tick()

    assert successor.minds[-1].began_with == 3
    redis.hset(keys.SCALER, "until", 1)
    scaler.tick()
    assert len(scaler.minds[-1].heard) == 1


def test_a_lease_that_is_lost_between_reading_and_acting_stops_the_act(
    scaler: Scaler, redis: Client, settings: Settings, fleet: DesiredFleet, bench: Bench
) -> None:
    submit(bench, 3)
    take = scaler.leadership.take

    def take_and_lose() -> int:
        fence = take()
        redis.hset(keys.SCALER, mapping={"holder": "scaler-2", "fence": fence + 1})
        return fence

    scaler.leadership.take = take_and_lose  # type: ignore[method-assign]
    with capture_logs() as logs:
        assert scaler.tick() is None
    assert fleet.read().size == 2
    assert logs[-1]["event"] == "refused: another scaler leads by now"


def test_news_are_noted_at_once_and_the_rest_once_a_minute(
    scaler: Scaler, fleet: DesiredFleet, bench: Bench, redis: Client
) -> None:
    with capture_logs() as logs:
        for _tick in range(3):
            scaler.tick()
        assert len(decisions(redis, 9)) == 1
        submit(bench, 2)
        scaler.tick()

    noted = decisions(redis, 9)
    assert [(record.size, record.fence) for record in noted] == [(1, 1), (2, 1)]
    assert noted[1].reading["waiting"] == {"jobs": 2, "tokens": 18}
    told = [line for line in logs if line["event"] == "scaler decided"]
    assert [line["size"] for line in told] == [1, 2]

    scaler.daemon._noted_at -= NOTED_EVERY_S
    scaler.tick()
    assert len(decisions(redis, 9)) == 3


def test_it_hits_each_place_once_a_tick_that_it_leads(
    scaler: Scaler, redis: Client, settings: Settings, fleet: DesiredFleet
) -> None:
    other = Scaler(redis, settings, "scaler-2")
    hits: list[Failpoint] = []
    scaler.daemon._failpoints = other.daemon._failpoints = Mock(hit=hits.append)
    scaler.tick()
    assert hits == [
        Failpoint.AFTER_READING,
        Failpoint.AFTER_LEASE,
        Failpoint.BEFORE_ORDER,
        Failpoint.AFTER_ORDER,
    ]

    hits.clear()
    other.tick()
    assert hits == [Failpoint.AFTER_READING]


def test_a_crash_loop_is_told_as_an_error(scaler: Scaler, fleet: DesiredFleet) -> None:
    mind = Mock(decide=lambda reading, now: Decision(2, "no growth", crash_loop=True))
    scaler.daemon._make_mind = lambda size: mind
    with capture_logs() as logs:
        scaler.tick()
    told = [line for line in logs if line["event"] == "scaler decided"]
    assert [(line["log_level"], line["flags"]) for line in told] == [("error", ("crash_loop",))]


def test_flags_are_noted(scaler: Scaler, fleet: DesiredFleet, bench: Bench) -> None:
    submit(bench, 10)
    record = scaler.tick()
    assert record is not None
    assert record.flags == ("is_limited",)


def test_a_policy_hears_the_time_of_redis(scaler: Scaler, redis: Client) -> None:
    record = scaler.tick()
    assert record is not None
    assert record.at == pytest.approx(redis.time()[0], abs=2)


def test_a_spectator_decides_and_nothing_changes(
    redis: Client, settings: Settings, fleet: DesiredFleet, bench: Bench
) -> None:
    submit(bench, 4)
    record = Scaler(redis, settings, make=Spectator).tick()

    assert record is not None
    assert record.size == 4
    assert fleet.read().size == 2
    assert not redis.exists(keys.SCALER, keys.DECISIONS)


def test_without_redis_nothing_is_decided(settings: Settings) -> None:
    scaler = Scaler(connect("redis://127.0.0.1:1", 0.1), settings)
    with pytest.raises(RedisError):
        scaler.tick()


def test_it_beats_and_ticks_until_it_is_stopped_and_then_resigns(
    scaler: Scaler, redis: Client, settings: Settings, fleet: DesiredFleet
) -> None:
    class Stopped(Event):
        def wait(self, timeout: float | None = None) -> bool:
            scaler.clock.sleep(timeout or 0.0)
            return self.is_set()

    stopped, beats = Stopped(), []

    def beat() -> None:
        beats.append(scaler.clock.now())
        if len(beats) == 1:
            raise RuntimeError("a sweep that fails")
        if len(beats) == 5:
            stopped.set()

    with capture_logs() as logs:
        scaler.daemon.run(stopped, beat)

    assert [line["event"] for line in logs if line["log_level"] == "error"] == [
        "nothing changes: the scaler failed"
    ]
    assert beats == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert len(scaler.minds[-1].heard) == 3
    assert Leadership(redis, settings, "next", lease_s=6.0).take() == 2
