"""The roster of live workers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from headrace.core.connection import Client
from headrace.core.fidelity import Fidelity
from headrace.core.jobs import keys
from headrace.core.roster import Roster, WorkerState, number_of
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

    roster.beat(replace(state("a"), features=tuple(Feature)))
    assert roster.features() == set(Feature)

    roster.beat(replace(state("b"), features=(Feature.TOP_LOGPROBS,)))
    assert roster.features() == {Feature.TOP_LOGPROBS}
    roster.beat(state("of an older version"))
    assert roster.features() == set()


def test_a_worker_that_loads_its_model_is_announced_until_it_is_ready(fake_redis: Client) -> None:
    roster = Roster(fake_redis, ttl_s=60)
    roster.announce("worker-1-a3f9", age_s=2.0)
    began = float(fake_redis.hget(keys.STARTING, "worker-1-a3f9"))
    assert fake_redis.time()[0] - began == pytest.approx(2, abs=1.1)
    assert roster.workers() == []

    roster.arrive("worker-1-a3f9", age_s=7.5)
    assert fake_redis.hlen(keys.STARTING) == 0
    assert fake_redis.lrange(keys.COLD_STARTS, 0, -1) == [b"7.5"]


def test_a_worker_that_died_while_it_loaded_is_forgotten(fake_redis: Client) -> None:
    roster = Roster(fake_redis, ttl_s=60)
    roster.announce("worker-1-a3f9", age_s=0.0)
    roster.leave("worker-1-a3f9")

    assert fake_redis.hlen(keys.STARTING) == 0


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("worker-3-a3f9", 3),
        ("worker-12", 12),
        ("worker-0-a3f9", None),
        ("worker-3f2a-x", None),
        ("mine", None),
    ],
)
def test_a_worker_that_was_started_by_number_says_it(name: str, number: int | None) -> None:
    assert number_of(name) == number


def test_what_a_later_version_tells_is_passed_over(fake_redis: Client) -> None:
    roster = Roster(fake_redis, ttl_s=60)
    known = replace(state("a"), fidelity=Fidelity("float32", kl=0.0, top1=1.0))
    roster.beat(known)
    beat = json.loads(fake_redis.get(keys.worker("a")))
    beat["mood"] = "fine"
    beat["fidelity"]["depth"] = 3
    assert WorkerState.decode(json.dumps(beat).encode()) == known


def test_a_worker_of_an_earlier_version_reports_no_fidelity(fake_redis: Client) -> None:
    Roster(fake_redis, ttl_s=60).beat(state("a"))
    beat = json.loads(fake_redis.get(keys.worker("a")))
    del beat["fidelity"]
    assert WorkerState.decode(json.dumps(beat).encode()) == state("a")
