"""The heartbeat: whose leases it keeps, and whose it takes."""

from __future__ import annotations

import pytest

from headrace.core.card_store import CardStore
from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.roster import Roster
from headrace.core.settings import Settings
from headrace.core.types import JobState
from tests.bench import Bench
from tests.fakes import CARD, make_request
from tests.waiting import eventually
from worker.heartbeat import Heartbeat


@pytest.fixture
def bench(redis: Client, settings: Settings) -> Bench:
    bench = Bench(redis, settings)
    bench.submit(make_request(max_tokens=100))
    bench.turn(1)
    return bench


@pytest.fixture
def roster(redis: Client) -> Roster:
    return Roster(redis, ttl_s=60.0)


@pytest.fixture
def heartbeat(bench: Bench, roster: Roster) -> Heartbeat:
    return heartbeat_of(bench, roster)


def heartbeat_of(bench: Bench, roster: Roster) -> Heartbeat:
    cards = CardStore(bench.redis)
    return Heartbeat(bench.worker, bench.leases, bench.counters, roster, cards, CARD, bench.clock)


def run_out(redis: Client) -> None:
    redis.zadd(keys.LEASES, {"job-1": 1.0})


def test_a_beat_keeps_the_leases_of_what_runs(
    bench: Bench, heartbeat: Heartbeat, redis: Client
) -> None:
    run_out(redis)
    heartbeat.beat()

    assert bench.state() is JobState.RUNNING


def test_an_engine_that_stalls_loses_its_leases(
    bench: Bench, heartbeat: Heartbeat, redis: Client, settings: Settings
) -> None:
    stall_beats = int(settings.engine_stall_s) + 2
    for _beat in range(stall_beats):
        bench.clock.sleep(1)
        run_out(redis)
        heartbeat.beat()

    assert bench.state() is JobState.QUEUED


def test_after_an_outage_everybody_may_renew_before_anybody_sweeps(
    bench: Bench, redis: Client, settings: Settings, roster: Roster
) -> None:
    peer = heartbeat_of(Bench(redis, settings, "worker-2"), roster)
    peer._clock.sleep(settings.lease_s)
    run_out(redis)
    peer.beat()
    assert bench.state() is JobState.RUNNING

    for _beat in range(int(settings.lease_s) + 1):
        peer._clock.sleep(1)
        peer.beat()
    assert bench.state() is JobState.QUEUED


def test_a_card_that_redis_lost_is_put_again(bench: Bench, heartbeat: Heartbeat) -> None:
    bench.redis.delete(keys.CARD)
    heartbeat.beat()

    assert CardStore(bench.redis).current() == CARD


def test_an_idle_worker_is_never_stalled(
    bench: Bench, heartbeat: Heartbeat, roster: Roster, settings: Settings
) -> None:
    bench.turn(99)
    bench.clock.sleep(settings.engine_stall_s + 1)
    heartbeat.beat()

    assert [worker.name for worker in roster.workers()] == ["worker-1"]


def test_a_beat_takes_back_the_jobs_of_a_silent_peer(
    redis: Client, settings: Settings, bench: Bench, roster: Roster
) -> None:
    peer = Bench(redis, settings, "worker-2")
    heartbeat = heartbeat_of(peer, roster)
    for _beat in range(int(settings.lease_s) + 1):
        run_out(redis)
        heartbeat.beat()
        peer.clock.sleep(1)

    assert bench.state() is JobState.QUEUED


def test_a_worker_stands_on_the_roster_until_it_stops(
    bench: Bench, heartbeat: Heartbeat, roster: Roster
) -> None:
    heartbeat.start()
    eventually(roster.workers)
    (state,) = roster.workers()
    assert (state.name, state.activity, state.engine) == ("worker-1", "ready", "SimulatedEngine")
    assert state.stats.running == 1

    heartbeat.stop()
    assert roster.workers() == []


def test_a_beat_says_which_card_has_a_worker_that_takes_jobs(
    bench: Bench, heartbeat: Heartbeat, redis: Client
) -> None:
    heartbeat.beat()

    assert 0 < redis.pttl(keys.serving(CARD.hash)) <= 60_000


def test_a_worker_that_drains_serves_no_card(
    bench: Bench, heartbeat: Heartbeat, redis: Client
) -> None:
    bench.worker.request_stop(15, None)
    heartbeat.beat()

    assert redis.exists(keys.serving(CARD.hash)) == 0
