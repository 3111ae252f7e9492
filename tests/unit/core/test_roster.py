"""The roster of live workers."""

from __future__ import annotations

from dataclasses import replace

from headrace.core.connection import Client
from headrace.core.roster import Roster, WorkerState
from headrace.core.types import EngineStats, Feature
from tests.waiting import eventually


def state(name: str) -> WorkerState:
    return WorkerState(name, "ready", 1, "TorchEngine", EngineStats(running=2, slots=32))


def test_workers_that_beat_are_listed_by_name(fake_redis: Client) -> None:
    roster = Roster(fake_redis, ttl_s=60)
    roster.beat(state("b"))
    roster.beat(state("a"))

    assert roster.workers() == [state("a"), state("b")]


def test_a_worker_that_leaves_or_falls_silent_is_forgotten(fake_redis: Client) -> None:
    roster = Roster(fake_redis, ttl_s=0.05)
    roster.beat(state("silent"))
    Roster(fake_redis, ttl_s=60).beat(state("leaves"))
    roster.leave("leaves")

    eventually(lambda: roster.workers() == [])
    assert fake_redis.scard("headrace:workers") == 0


def test_a_fleet_can_do_what_each_of_its_workers_can(fake_redis: Client) -> None:
    roster = Roster(fake_redis, ttl_s=60)
    assert roster.features() == set(Feature)

    roster.beat(replace(state("a"), features=(Feature.JSON_SCHEMA, Feature.TOP_LOGPROBS)))
    assert roster.features() == set(Feature)

    roster.beat(replace(state("b"), features=(Feature.TOP_LOGPROBS,)))
    assert roster.features() == {Feature.TOP_LOGPROBS}
    roster.beat(state("of an older version"))
    assert roster.features() == set()
