"""Who is in the fleet, and how far each has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headrace.core.desired_fleet import Desired
from headrace.core.jobs.backlog import Backlog
from headrace.core.roster import Activity, WorkerState, number_of
from headrace.core.types import EngineStats
from scaler.members import FORGOTTEN_S, members_of
from scaler.readings import Member
from scaler.snapshot import Snapshot

NOW = 10_000.0


def beat(
    name: str, activity: Activity = "ready", age_s: float = 60, running: int = 0
) -> WorkerState:
    return WorkerState(name, activity, 1, "fake", EngineStats(running=running), age_s=age_s)


def members(
    *beats: WorkerState,
    draining: Sequence[str] = (),
    starting: Mapping[str, float] | None = None,
    desired: Desired | None = None,
    deaths: Mapping[str, float] | None = None,
) -> tuple[Member, ...]:
    return members_of(
        Snapshot(
            run_id="run",
            uptime_s=1e6,
            has_card=True,
            is_suspended=False,
            backlog=Backlog(0, 0, 0, 0.0, 0.0, at=NOW),
            counts={},
            beats=beats,
            draining=frozenset(draining),
            starting=starting or {},
            desired=desired or Desired(),
            cold_starts_s=(),
            deaths=deaths or {},
            latencies_s=(),
        ),
        number_of,
    )


def test_workers_stand_in_the_order_of_their_numbers() -> None:
    found = members(beat("worker-10-a"), beat("worker-2-b", running=3))
    assert found == (Member(2, "ready", 60, 3), Member(10, "ready", 60, 0))


def test_a_flag_counts_before_its_worker_has_read_it() -> None:
    (member,) = members(beat("worker-1-a", running=1), draining=["worker-1-a"])
    assert member.phase == "draining"


def test_a_drained_worker_is_what_it_says() -> None:
    (member,) = members(beat("worker-1-a", "drained"), draining=["worker-1-a"])
    assert member.phase == "drained"


def test_of_two_under_one_number_the_younger_lives() -> None:
    found = members(beat("worker-1-old", age_s=99, running=5), beat("worker-1-new", age_s=2))
    assert found == (Member(1, "ready", 2, 0),)


def test_a_worker_that_loads_its_model_starts() -> None:
    found = members(beat("worker-1-a"), starting={"worker-2-b": NOW - 4, "mine": NOW})
    assert found[1] == Member(2, "starting", 4.0, 0)
    assert len(found) == 2


def test_one_that_is_to_drain_before_it_is_ready_has_nothing_to_finish() -> None:
    (member,) = members(starting={"worker-2-b": NOW}, draining=["worker-2-b"])
    assert member.phase == "drained"


def test_one_that_has_started_for_an_hour_is_forgotten() -> None:
    assert members(starting={"worker-2-b": NOW - FORGOTTEN_S}) == ()


def test_a_wanted_worker_without_a_process_starts_since_it_was_wanted() -> None:
    found = members(beat("worker-1-a"), desired=Desired(size=3, since=NOW - 2))
    assert found[1:] == (Member(2, "starting", 2.0, 0), Member(3, "starting", 2.0, 0))


def test_a_wanted_worker_that_died_starts_since_its_death() -> None:
    deaths = {"worker-1-a": NOW - 9, "worker-1-b": NOW - 3, "worker-7-c": NOW - 1}
    assert members(desired=Desired(1, NOW - 100), deaths=deaths) == (Member(1, "starting", 3.0, 0),)


def test_a_worker_without_a_number_is_none_of_the_fleet() -> None:
    assert members(beat("worker-3f2a9-c1"), beat("by-hand")) == ()
