"""What is wanted of the fleet, on a real server."""

from __future__ import annotations

import pytest

from headrace.core.connection import Client
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.jobs import keys
from headrace.core.jobs.queue import JobQueue
from headrace.core.roster import Roster
from headrace.core.settings import Settings
from headrace.core.types import Room
from tests.fakes import make_request
from tests.unit.core.jobs.steps import succeed

WORKER = "worker-2-a3f9"
ROOM = Room(slots=4, tokens=1000)


@pytest.fixture
def fleet(redis: Client, settings: Settings) -> DesiredFleet:
    return DesiredFleet(redis, settings)


def test_nothing_is_wanted_of_an_empty_server(fleet: DesiredFleet) -> None:
    desired = fleet.read()
    assert (desired.size, desired.fixed, desired.is_paused) == (None, None, False)


def test_a_deployment_begins_with_its_own_number_and_what_people_want_stands(
    fleet: DesiredFleet, redis: Client
) -> None:
    fleet.muster(2)
    fleet.fix(5)
    fleet.bury("worker-1-dead", is_blameless=False)
    fleet.muster(3)

    desired = fleet.read()
    assert (desired.size, desired.fixed) == (3, 5)
    assert desired.since == pytest.approx(redis.time()[0], abs=2)
    assert redis.zcard(keys.DEATHS) == 0


def test_a_person_may_pause_fix_and_let_go_again(fleet: DesiredFleet) -> None:
    fleet.pause()
    assert fleet.read().is_paused
    fleet.fix(4)
    assert (fleet.read().fixed, fleet.read().is_paused) == (4, False)
    fleet.pause()
    fleet.resume()
    assert (fleet.read().fixed, fleet.read().is_paused) == (4, False)
    fleet.auto()
    assert (fleet.read().fixed, fleet.read().is_paused) == (None, False)


def test_only_a_drained_worker_may_be_told_to_end(
    fleet: DesiredFleet, redis: Client, settings: Settings
) -> None:
    queue, roster = JobQueue(redis, settings), Roster(redis, ttl_s=60)
    queue.submit(make_request())
    (claim,) = queue.claim(WORKER, ROOM).claims
    assert not fleet.dismiss(WORKER)
    roster.drain(WORKER)
    assert not fleet.dismiss(WORKER)

    succeed(queue, claim)
    assert fleet.dismiss(WORKER)
    assert fleet.dismiss(WORKER)


def test_a_worker_that_dies_of_itself_is_a_death(fleet: DesiredFleet, redis: Client) -> None:
    fleet.bury(WORKER, is_blameless=False)
    fleet.bury("worker-3-alone", is_blameless=True)

    assert redis.zrange(keys.DEATHS, 0, -1) == [WORKER.encode()]


def test_one_that_was_told_to_end_is_none(fleet: DesiredFleet, redis: Client) -> None:
    Roster(redis, ttl_s=60).drain(WORKER)
    assert fleet.dismiss(WORKER)
    fleet.bury(WORKER, is_blameless=False)

    assert redis.zcard(keys.DEATHS) == redis.scard(keys.DISMISSED) == 0


def test_deaths_of_long_ago_are_forgotten(fleet: DesiredFleet, redis: Client) -> None:
    redis.zadd(keys.DEATHS, {"worker-1-old": 1.0})
    fleet.bury(WORKER, is_blameless=False)

    assert redis.zrange(keys.DEATHS, 0, -1) == [WORKER.encode()]
