from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.core.desired_fleet import Desired
from headrace.core.jobs.backlog import Backlog
from headrace.core.readings.fleet import FleetReading
from headrace.core.readings.slo_course import Sample, SloCourse
from headrace.core.roster import WorkerState
from headrace.core.settings import Settings
from headrace.core.types import EngineStats
from headrace.monitor.canary import Flight
from headrace.monitor.prober import Probed, Prober
from headrace.monitor.probes import Target
from headrace.monitor.problems import START_S, STUCK_S, problems
from headrace.monitor.sight import Sight
from tests.fakes import FakeClock

NOW = 1_764_000_000.0
SETTINGS = Settings()
WORKER = WorkerState("worker-1", "ready", 1, "fake", EngineStats())
BACKLOG = Backlog(waiting=0, running=0, dead=0, oldest_s=0.0, waiting_tokens=0.0, at=NOW)


class Silent:
    def problem(self) -> str | None:
        raise NotImplementedError


@pytest.fixture
def sight() -> Sight:
    """All is well, and has been for an hour."""
    targets: tuple[Target, ...] = ("redis", "api-live", "api-ready", "workers")
    sight = Sight(NOW - 3600, {target: Prober(Silent(), FakeClock()) for target in targets})
    for prober in sight.probers.values():
        prober.last = Probed(None)
    sight.see(FleetReading(BACKLOG, [WORKER], {}, Desired(1)), Sample(NOW - 10, 0, 0, 0))
    return sight


def counted(
    sight: Sight, total: int, good: int, failed: int = 0, since_s: float = 3 * 86400
) -> None:
    sight.course = SloCourse()
    sight.course.add(Sample(NOW - since_s, 0, 0, 0))
    sight.totals = Sample(NOW, total, good, failed)


def found(sight: Sight, now: float = NOW) -> set[str]:
    return set(problems(sight, SETTINGS, now))


def test_where_all_is_well_nothing_is_found(sight: Sight) -> None:
    counted(sight, 10_000, 9_999)
    assert found(sight) == set()


@pytest.mark.parametrize(
    ("target", "alert"),
    [
        ("redis", "HeadraceRedisDown"),
        ("api-live", "HeadraceApiDown"),
        ("api-ready", "HeadraceApiNotReady"),
        ("workers", "HeadraceNoWorkers"),
    ],
)
def test_each_probe_has_its_alert(sight: Sight, target: Target, alert: str) -> None:
    sight.probers[target].last = Probed("wrong")

    assert problems(sight, SETTINGS, NOW) == {alert: "wrong"}


def test_an_api_that_is_not_ready_is_told_of_once_what_it_needs_was_asked(sight: Sight) -> None:
    sight.probers["api-ready"].last = Probed("answers 503", ill_since=100.0)
    sight.probers["api-live"].last = Probed(None, began=101.0)
    sight.probers["redis"].last = Probed(None, began=99.0)
    assert found(sight) == set()

    sight.probers["redis"].last = Probed(None, began=101.0)
    assert found(sight) == {"HeadraceApiNotReady"}


def test_what_starts_gets_its_time(sight: Sight) -> None:
    sight.began = NOW
    sight.probers["workers"].last = Probed("none is ready", 0.1, was_well=False)

    assert found(sight, NOW + START_S - 1) == set()
    assert found(sight, NOW + START_S + 1) == {"HeadraceNoWorkers"}


def test_what_was_not_probed_yet_is_not_wrong(sight: Sight) -> None:
    for prober in sight.probers.values():
        prober.last = None
    assert found(sight) == set()


def test_canaries_speak_of_latency(sight: Sight) -> None:
    for at in (NOW - 2, NOW - 1):
        sight.aviary.note(Flight("late", 1.2), at)

    text = problems(sight, SETTINGS, NOW)["HeadraceLatencyHigh"]
    assert text == "the last canary's first token took 1.2 s; 1 s are allowed"


def test_one_failed_job_in_twenty_is_the_limit(sight: Sight) -> None:
    counted(sight, 100, 95, failed=5, since_s=300)
    assert "HeadraceErrorRateHigh" not in found(sight)
    counted(sight, 100, 94, failed=6, since_s=300)
    assert "HeadraceErrorRateHigh" in found(sight)
    counted(sight, 19, 10, failed=9, since_s=300)
    assert "HeadraceErrorRateHigh" not in found(sight)


@pytest.mark.parametrize(
    ("bad", "alerts"),
    [
        (5, set()),
        (11, {"HeadraceSloBurnTicket"}),
        (70, {"HeadraceSloBurnPage", "HeadraceSloBurnTicket"}),
        (200, {"HeadraceSloBurnPage", "HeadraceSloBurnTicket"}),
    ],
)
def test_the_budget_burns_at_known_rates(sight: Sight, bad: int, alerts: set[str]) -> None:
    """Of 1,000 jobs, in every window alike."""
    counted(sight, 1000, 1000 - bad)
    assert found(sight) == alerts


def test_a_fast_burn_that_is_over_pages_nobody(sight: Sight) -> None:
    counted(sight, 1000, 800, since_s=3000)
    assert sight.course is not None
    sight.course.add(Sample(NOW - 1900, 900, 700, 0))
    sight.course.add(Sample(NOW - 400, 900, 700, 0))

    assert "HeadraceSloBurnPage" not in found(sight)


def test_a_few_jobs_burn_no_budget(sight: Sight) -> None:
    counted(sight, 29, 0, since_s=200)
    assert found(sight) == set()


def test_a_queue_is_stuck_where_workers_are_there_and_nothing_ends(sight: Sight) -> None:
    waits = replace(BACKLOG, waiting=3, oldest_s=STUCK_S + 1)
    sight.see(FleetReading(waits, [WORKER], {}, Desired(1)), Sample(NOW, 0, 0, 0))

    assert found(sight) == set(), "the last job may have ended a moment before the monitor began"
    later = NOW + STUCK_S + 1
    assert found(sight, later) == {"HeadraceQueueStuck"}
    counts = {"jobs:finished:stop": 1}
    sight.see(FleetReading(waits, [WORKER], counts, Desired(1)), Sample(later, 1, 1, 0))
    assert found(sight, later) == set()
    counts = counts | {"steps:n": 7}
    sight.see(FleetReading(waits, [WORKER], counts, Desired(1)), Sample(later + 300, 1, 1, 0))
    assert found(sight, later + 301) == set(), "long answers take their time"
    sight.see(FleetReading(waits, [], counts, Desired(1)), Sample(later, 1, 1, 0))
    assert found(sight, later + 2 * STUCK_S) == set(), "no worker: another alert says so"


def test_twice_as_slow_as_usual_is_told_of(sight: Sight) -> None:
    sight.course = SloCourse()
    for minute in range(60):
        sight.course.add(Sample(NOW - 7200 + 60 * minute, 0, 0, 0, canary_s=0.2))
    for second in range(30):
        sight.aviary.note(Flight("good", 0.3), NOW - 200 + second)
    assert found(sight) == set()
    for second in range(60):
        sight.aviary.note(Flight("good", 0.5), NOW - 100 + second)
    assert found(sight) == {"HeadraceDegraded"}
