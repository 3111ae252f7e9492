"""Two scalers, one acts: the lease and what it guards, on a real server."""

from __future__ import annotations

import pytest

from headrace.core.connection import Client
from headrace.core.decision_log import Record, decisions
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.jobs import keys
from headrace.core.jobs.counters import Counters
from headrace.core.leadership import Leader, Leadership, Spectator
from headrace.core.roster import Roster
from headrace.core.settings import Settings

RECORD = Record(at=12.5, wanted=3, size=3, reason="two waited", flags=("is_limited",))


class Scalers:
    def __init__(self, redis: Client, settings: Settings) -> None:
        self.redis, self.settings = redis, settings
        self.first = Leadership(redis, settings, "first", lease_s=60)
        self.second = Leadership(redis, settings, "second", lease_s=60)
        self.fleet = DesiredFleet(redis, settings)

    def let_the_lease_run_out(self) -> None:
        self.redis.hset(keys.SCALER, "until", 1)

    def draining(self) -> set[str]:
        return {name.decode() for name in self.redis.smembers(keys.DRAINING)}


@pytest.fixture
def scalers(redis: Client, settings: Settings) -> Scalers:
    return Scalers(redis, settings)


def test_one_leads_and_renews_while_the_other_waits(scalers: Scalers) -> None:
    assert scalers.first.take() == 1
    assert scalers.second.take() == 0
    assert scalers.first.take() == 1

    leader = Leader.decode(scalers.redis.hgetall(keys.SCALER))
    assert leader is not None
    assert (leader.holder, leader.fence) == ("first", 1)
    assert leader.until == pytest.approx(scalers.redis.time()[0] + 60, abs=2)


def test_a_scaler_leads_while_the_lease_is_its_own(scalers: Scalers) -> None:
    assert not scalers.first.leads()
    scalers.first.take()
    assert scalers.first.leads()
    assert not scalers.second.leads()

    scalers.let_the_lease_run_out()
    assert not scalers.first.leads()


def test_the_successor_has_a_higher_number_and_the_first_may_do_nothing_more(
    scalers: Scalers,
) -> None:
    scalers.first.take()
    assert scalers.first.order(2, [], RECORD)
    scalers.let_the_lease_run_out()
    assert scalers.second.take() == 2

    assert not scalers.first.order(9, ["worker-1-a"], RECORD)
    assert scalers.fleet.read().size == 2
    assert scalers.draining() == set()
    assert len(decisions(scalers.redis, 10)) == 1
    assert scalers.second.order(3, [], None)


def test_a_lease_that_ran_out_allows_nothing_until_it_is_taken_again(scalers: Scalers) -> None:
    scalers.first.take()
    scalers.let_the_lease_run_out()
    assert not scalers.first.order(9, [], None)

    assert scalers.first.take() == 1
    assert scalers.first.order(2, [], None)


def test_a_server_that_lost_its_data_does_not_know_an_old_leader(scalers: Scalers) -> None:
    scalers.first.take()
    scalers.redis.flushall()
    assert scalers.second.take() == 1

    assert not scalers.first.order(9, [], None)


def test_who_resigns_leaves_the_lease_at_once(scalers: Scalers) -> None:
    scalers.first.take()
    scalers.first.resign()
    assert scalers.second.take() == 2

    scalers.first.resign()
    assert scalers.second.take() == 2


def test_who_never_led_resigns_from_nothing(scalers: Scalers) -> None:
    scalers.first.take()
    scalers.second.resign()
    assert scalers.first.order(1, [], None)


def test_surplus_workers_drain_and_may_be_called_back(scalers: Scalers) -> None:
    scalers.first.take()
    scalers.first.order(1, ["worker-2-a", "worker-3-b"], None)
    assert scalers.draining() == {"worker-2-a", "worker-3-b"}

    scalers.first.order(2, ["worker-3-b"], None)
    assert scalers.draining() == {"worker-3-b"}


def test_a_worker_that_a_person_drains_is_left_to_the_person(scalers: Scalers) -> None:
    Roster(scalers.redis, ttl_s=60).drain("worker-2-a")
    scalers.first.take()
    scalers.first.order(1, ["worker-2-a"], None)
    scalers.first.order(2, [], None)

    assert scalers.draining() == {"worker-2-a"}


def test_a_worker_that_is_told_to_end_is_not_called_back(scalers: Scalers) -> None:
    scalers.first.take()
    scalers.first.order(1, ["worker-2-a"], None)
    assert scalers.fleet.dismiss("worker-2-a")
    scalers.first.order(2, [], None)
    assert scalers.draining() == {"worker-2-a"}

    Roster(scalers.redis, ttl_s=60).leave("worker-2-a")
    scalers.fleet.bury("worker-2-a", is_blameless=False)
    scalers.first.order(1, [], None)
    assert scalers.draining() == set()


def test_the_moment_of_the_last_change_is_kept(scalers: Scalers) -> None:
    scalers.first.take()
    scalers.first.order(2, [], None)
    since = scalers.fleet.read().since
    scalers.first.order(2, [], None)
    assert scalers.fleet.read().since == since

    scalers.first.order(3, [], None)
    assert scalers.fleet.read().since > since


def test_what_is_unknown_changes_nothing(scalers: Scalers) -> None:
    scalers.first.take()
    scalers.first.order(1, ["worker-2-a"], None)
    scalers.first.order(None, [], RECORD)

    assert scalers.fleet.read().size == 1
    assert scalers.draining() == {"worker-2-a"}
    assert decisions(scalers.redis, 1) == [RECORD]


def test_decisions_are_counted_by_their_direction(scalers: Scalers, settings: Settings) -> None:
    scalers.first.take()
    for size in (2, 3, 3, 1, None):
        scalers.first.order(size, [], None)

    counts = Counters(scalers.redis, settings).read()
    directions = ("up", "down", "hold", "unknown")
    assert [counts[f"scaler:{each}"] for each in directions] == [2, 1, 1, 1]


def test_the_newest_decisions_are_read_oldest_first(scalers: Scalers) -> None:
    scalers.first.take()
    for size in (1, 2, 3):
        scalers.first.order(size, [], Record(at=size, wanted=size, size=size, reason=""))

    assert [record.size for record in decisions(scalers.redis, 2)] == [2, 3]


def test_a_spectator_sees_and_changes_nothing(scalers: Scalers, settings: Settings) -> None:
    spectator = Spectator(scalers.redis, settings, "spectator", lease_s=0)
    assert spectator.take()
    assert spectator.order(9, ["worker-1-a"], RECORD)
    spectator.resign()

    assert list(scalers.redis.scan_iter("headrace:*")) == []
