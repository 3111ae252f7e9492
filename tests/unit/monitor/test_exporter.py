"""The fleet as Prometheus sees it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from headrace.core.connection import Client
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.leadership import Leadership
from headrace.core.readings.fleet import Fleet
from headrace.core.roster import Roster, WorkerState
from headrace.core.settings import Settings
from headrace.core.types import EngineStats
from headrace.monitor.exporter import FleetCollector
from tests.bench import Bench
from tests.fakes import make_request

NAMES = {
    *("build_info", "workers", "queue_depth", "oldest_job_age_seconds", "jobs_set_aside"),
    *(
        "jobs",
        "jobs_redelivered",
        "jobs_preempted",
        "jobs_retried",
        "engine_deaths",
        "jobs_dead",
        "late_writes",
        "log_lines_lost",
        "slo",
        "slo_good",
        "tokens",
    ),
    *("job_e2e_seconds", "queue_wait_seconds", "inference_seconds", "time_to_first_token_seconds"),
    *("time_per_output_token_seconds", "step_seconds", "batch_size"),
    *("scaler_desired_workers", "scaler_ready_workers", "scaler_paused"),
    *("fidelity_kl_nats", "fidelity_top1_ratio"),
    *("scaler_unknown_readings", "scaler_decisions"),
}


@pytest.fixture
def registry(redis: Client, settings: Settings) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(FleetCollector(Fleet(redis, settings)))
    return registry


def samples(registry: CollectorRegistry) -> Mapping[str, float]:
    """`name{labels}` -> value, as they stand in the text that Prometheus reads."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        sample.name
        + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_metric_is_there_before_the_first_job(registry: CollectorRegistry) -> None:
    text = generate_latest(registry).decode()

    names = set(re.findall(r"^# TYPE headrace_(\w+?)(?:_total)? ", text, re.MULTILINE))
    assert names == NAMES
    assert samples(registry)["headrace_workers state=ready"] == 0
    assert samples(registry)["headrace_jobs_dead_total"] == 0


def test_jobs_tokens_and_steps_of_a_run_add_up(
    registry: CollectorRegistry, redis: Client, settings: Settings
) -> None:
    bench = Bench(redis, settings)
    bench.submit(make_request("a", max_tokens=3), make_request("b", max_tokens=3))
    bench.turn(3)
    bench.counters.add(bench.worker.name, bench.worker.steps.totals)

    values = samples(registry)
    assert values["headrace_jobs_total reason=length state=succeeded"] == 2
    assert values["headrace_tokens_total type=input"] == 10
    assert values["headrace_tokens_total type=output"] == 6
    assert values["headrace_job_e2e_seconds_count"] == 2
    assert values["headrace_slo_total"] == 2
    assert values["headrace_slo_good_total"] == 2
    assert values["headrace_batch_size_sum"] == 6
    assert values["headrace_step_seconds_count"] == 3


def test_gauges_show_the_moment(
    registry: CollectorRegistry, redis: Client, settings: Settings
) -> None:
    bench = Bench(redis, settings.model_copy(update={"max_slots": 1}))
    bench.submit(make_request("a"), make_request("b"))
    bench.turn(1)
    for name in ("worker-1", "worker-2"):
        state = WorkerState(name, "draining", 1, "SimulatedEngine", EngineStats())
        Roster(redis, ttl_s=60).beat(state)

    values = samples(registry)
    assert values["headrace_queue_depth state=waiting"] == 1
    assert values["headrace_queue_depth state=running"] == 1
    assert values["headrace_queue_depth state=dead"] == 0
    assert values["headrace_oldest_job_age_seconds"] > 0
    assert values["headrace_workers state=draining"] == 2


def test_jobs_of_another_card_are_counted_by_their_model(
    registry: CollectorRegistry, redis: Client, settings: Settings
) -> None:
    bench = Bench(redis, settings)
    bench.submit(make_request("a", card_hash="0123", model="old"), make_request("b"))
    bench.submit(make_request("c", card_hash="4567", model="old"))
    bench.turn(1)

    values = samples(registry)
    assert values["headrace_jobs_set_aside model=old"] == 2
    assert values["headrace_queue_depth state=waiting"] == 0


def test_the_scaler_shows_what_it_wants_and_what_it_did(
    registry: CollectorRegistry, redis: Client, settings: Settings
) -> None:
    assert "headrace_scaler_desired_workers" not in samples(registry)
    leadership = Leadership(redis, settings, "scaler-1", lease_s=60)
    leadership.take()
    for size in (2, 4, 3, 3, None):
        leadership.order(size, [], None)
    Roster(redis, ttl_s=60).beat(WorkerState("worker-1", "ready", 1, "fake", EngineStats()))
    DesiredFleet(redis, settings).pause()

    values = samples(registry)
    assert values["headrace_scaler_desired_workers"] == 3
    assert values["headrace_scaler_ready_workers"] == 1
    assert values["headrace_scaler_paused"] == 1
    assert values["headrace_scaler_unknown_readings_total"] == 1
    directions = {"up": 2, "down": 1, "hold": 1}
    for direction, count in directions.items():
        assert values[f"headrace_scaler_decisions_total direction={direction}"] == count
