"""What planning is told of queue and workers."""

from __future__ import annotations

import os

from flask.testing import FlaskClient

from headrace.core.connection import Client
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.roster import Roster, WorkerState
from headrace.core.settings import Settings
from headrace.core.types import EngineStats
from tests.bench import Bench
from tests.fakes import make_request


def test_an_empty_deployment_has_a_fleet_of_nobody(client: FlaskClient) -> None:
    fleet = client.get("/v1/fleet").json
    assert fleet is not None
    assert (fleet["model"], fleet["workers"], fleet["starting"]) == ("tiny", [], 0)
    assert (fleet["desired"], fleet["cold_starts_s"], fleet["steps"]["n"]) == (None, [], 0)
    empty = {"waiting": 0, "running": 0, "set_aside": {}, "oldest_wait_s": 0.0}
    assert fleet["queue"] == empty


def test_jobs_of_another_card_are_shown_by_their_model(client: FlaskClient, bench: Bench) -> None:
    bench.submit(make_request("old", card_hash="0123", model="old"))
    bench.turn(1)
    bench.submit(make_request("new"))

    fleet = client.get("/v1/fleet").json
    assert fleet is not None
    assert (fleet["queue"]["waiting"], fleet["queue"]["set_aside"]) == (1, {"old": 1})
    ready = client.get("/readyz").json
    assert ready is not None
    assert (ready["queue"]["waiting"], ready["queue"]["set_aside"]) == (2, 1)


def test_the_fleet_shows_who_works_who_starts_and_what_is_wanted(
    client: FlaskClient, bench: Bench, redis: Client, settings: Settings
) -> None:
    bench.submit(make_request("job-1"), make_request("job-2"))
    roster = Roster(redis, ttl_s=60)
    stats = EngineStats(slots=8, running=1)
    roster.beat(WorkerState("worker-1-a", "ready", os.getpid(), "SimulatedEngine", stats))
    roster.announce("worker-2-b", age_s=3.0)
    roster.arrive("worker-1-a", age_s=2.5)
    DesiredFleet(redis, settings).muster(3)
    roster.announce("worker-2-b", age_s=3.0)
    bench.counters.add("worker-1-a", {"steps:n": 2, "steps:r": 6, "steps:s": 500_000})

    fleet = client.get("/v1/fleet").json
    assert fleet is not None
    assert fleet["queue"]["waiting"] == 2
    [worker] = fleet["workers"]
    assert (worker["name"], worker["slots"], worker["running"]) == ("worker-1-a", 8, 1)
    assert (fleet["starting"], fleet["desired"], fleet["cold_starts_s"]) == (1, 3, [2.5])
    assert (fleet["steps"]["n"], fleet["steps"]["r"], fleet["steps"]["s"]) == (2, 6, 0.5)


def test_a_worker_that_has_started_for_an_hour_is_forgotten(
    client: FlaskClient, redis: Client
) -> None:
    Roster(redis, ttl_s=60).announce("worker-3-c", age_s=4000.0)
    fleet = client.get("/v1/fleet").json
    assert fleet is not None and fleet["starting"] == 0
