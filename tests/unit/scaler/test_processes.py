"""The fleet of one `headrace up`, as the scaler changes it."""

from __future__ import annotations

import pytest

from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.leadership import Leadership
from headrace.core.roster import Roster, WorkerState
from headrace.core.settings import Settings
from headrace.core.types import EngineStats
from scaler.fleet import Fleet
from scaler.processes import ProcessFleet


@pytest.fixture
def fleet(redis: Client, settings: Settings) -> Fleet:
    leadership = Leadership(redis, settings, "scaler-1", lease_s=60)
    leadership.take()
    roster = Roster(redis, ttl_s=60)
    for name in ("worker-2-b", "worker-10-c", "worker-1-a", "by-hand"):
        roster.beat(WorkerState(name, "ready", 1, "fake", EngineStats()))
    roster.announce("worker-11-d", age_s=0.0)
    return ProcessFleet(redis, leadership)


def draining(redis: Client) -> set[bytes]:
    found: set[bytes] = redis.smembers(keys.DRAINING)
    return found


def test_the_highest_number_is_the_first_to_go_also_while_it_starts(fleet: Fleet) -> None:
    assert fleet.workers() == ["worker-1-a", "worker-2-b", "worker-10-c", "worker-11-d"]


def test_a_smaller_fleet_drains_from_the_top_and_stops_nobody(fleet: Fleet, redis: Client) -> None:
    assert fleet.set_size(2)
    assert draining(redis) == {b"worker-10-c", b"worker-11-d"}
    assert redis.hget(keys.FLEET, "size") == b"2"
    assert len(fleet.workers()) == 4


def test_draining_is_called_back_where_more_are_wanted(fleet: Fleet, redis: Client) -> None:
    fleet.set_size(2)
    fleet.set_size(10)
    assert draining(redis) == {b"worker-11-d"}


def test_a_fleet_that_holds_stays_as_it_is(fleet: Fleet, redis: Client) -> None:
    fleet.set_size(2)
    assert fleet.hold()
    assert draining(redis) == {b"worker-10-c", b"worker-11-d"}
    assert redis.hget(keys.FLEET, "size") == b"2"


def test_whoever_does_not_lead_changes_nothing(
    fleet: Fleet, redis: Client, settings: Settings
) -> None:
    other = ProcessFleet(redis, Leadership(redis, settings, "scaler-2", lease_s=60))
    assert not other.set_size(1)
    assert not other.hold()
    assert draining(redis) == set()
