"""Jobs with JSON schemas wait outside of the engine until somebody has tried these."""

from __future__ import annotations

from typing import Any

import pytest

from batcher.simulated import SimulatedEngine
from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.json_schema.verdict import Verdict
from headrace.core.json_schema.verdict_store import VerdictStore
from headrace.core.settings import Settings
from headrace.core.types import Feature, JobState, Request, Room, Sampling
from tests.bench import Bench
from tests.fakes import CARD, make_request
from worker.engine_port import LocalEngine
from worker.schema_gate import NoGate, TrialGate, make_schema_gate

SCHEMA = '{"type": "boolean"}'
ENDLESS = '{"type": "string", "pattern": "((a{200}){200}){200}"}'


@pytest.fixture
def verdicts(redis: Client) -> VerdictStore:
    return VerdictStore(redis, "Engine", CARD.hash, most_s=2.0)


@pytest.fixture
def bench(redis: Client, settings: Settings, verdicts: VerdictStore) -> Bench:
    """Its engine refuses whatever has a schema, which shows what came through the gate."""
    return Bench(redis, settings, gate=TrialGate(verdicts))


def with_schema(job_id: str, schema: str = SCHEMA, **changes: Any) -> Request:
    rules = Sampling(max_tokens=3, temperature=0.0, json_schema=schema)
    return make_request(job_id, sampling=rules, **changes)


def test_a_job_waits_for_the_verdict_while_others_run(bench: Bench, verdicts: VerdictStore) -> None:
    bench.submit(with_schema("waits"), make_request("runs", max_tokens=3))
    bench.turn(4)

    assert bench.state("runs") is JobState.SUCCEEDED
    assert bench.state("waits") is JobState.RUNNING
    assert bench.redis.zscore(keys.LEASES, "waits") is not None
    assert bench.engine.is_idle
    assert verdicts.next_question(1) == SCHEMA

    verdicts.answer(SCHEMA, Verdict(0.1))
    bench.turn(1)
    assert "cannot hold output" in str(bench.queue.get("waits").error)


@pytest.mark.parametrize(
    ("verdict", "error"),
    [
        (Verdict(0.1, refusal="Unsupported type"), "json_schema: Unsupported type"),
        (Verdict(2.0, is_whole=False), "json_schema: its grammar takes 2 s of CPU time or more"),
    ],
)
def test_a_refused_schema_ends_its_job_once_and_for_all(
    bench: Bench, verdicts: VerdictStore, verdict: Verdict, error: str
) -> None:
    bench.submit(with_schema("refused"))
    verdicts.answer(SCHEMA, verdict)
    bench.turn(1)

    job = bench.queue.get("refused")
    assert (job.state, job.error, job.attempts) == (JobState.FAILED, error, 1)
    assert bench.worker.running == {}


def test_a_schema_beyond_all_bounds_is_not_even_tried(bench: Bench) -> None:
    bench.submit(with_schema("endless", ENDLESS))
    bench.turn(1)

    assert "repeats are written out" in str(bench.queue.get("endless").error)
    assert list(bench.redis.scan_iter("headrace:schema-*")) == []


def test_a_verdict_is_read_once_a_worker(bench: Bench, verdicts: VerdictStore) -> None:
    verdicts.answer(SCHEMA, Verdict(0.1))
    bench.submit(with_schema("first"))
    bench.turn(1)
    bench.redis.delete(*bench.redis.scan_iter("headrace:schema-*"))

    bench.submit(with_schema("second"))
    bench.turn(1)
    assert "cannot hold output" in str(bench.queue.get("second").error)


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_a_waiting_job_ends_as_a_running_one_would(bench: Bench, is_cancelled: bool) -> None:
    bench.worker.start()
    bench.submit(with_schema("waits", deadline_s=60.0))
    bench.turn(1)
    if is_cancelled:
        bench.queue.cancel("waits")
        while bench.worker.running:
            bench.turn(1)
    else:
        bench.clock.sleep(61)
        bench.turn(1)

    expected = JobState.CANCELLED if is_cancelled else JobState.EXPIRED
    assert bench.state("waits") is expected
    bench.turn(1)
    assert len(bench.worker._gate) == 0
    bench.worker.teardown()


def test_a_worker_that_drains_gives_a_waiting_job_back(bench: Bench) -> None:
    bench.submit(with_schema("waits"))
    bench.turn(1)
    bench.worker._give_back()

    assert bench.state("waits") is JobState.QUEUED


def test_a_job_that_comes_back_waits_once(bench: Bench, verdicts: VerdictStore) -> None:
    bench.submit(with_schema("waits"))
    bench.turn(1)
    bench.leases.take_back("worker-1")
    bench.turn(2)

    assert len(bench.worker._gate) == 1
    verdicts.answer(SCHEMA, Verdict(0.1))
    bench.turn(1)
    assert bench.state("waits") is JobState.FAILED


def test_waiting_jobs_take_room_of_the_engine(verdicts: VerdictStore) -> None:
    gate = TrialGate(verdicts)
    request = with_schema("waits")
    assert gate.hold(request)
    assert gate.room(Room(4, 100)) == Room(3, 100 - request.cost_tokens)
    assert gate.room(Room(0, 0)) == Room(0, 0)


class HoldingEngine(SimulatedEngine):
    features = frozenset({Feature.JSON_SCHEMA})


def test_only_engines_that_hold_output_to_schemas_have_a_gate(
    redis: Client, settings: Settings
) -> None:
    plain = LocalEngine(SimulatedEngine(settings, CARD))
    holding = LocalEngine(HoldingEngine(settings, CARD))
    assert isinstance(make_schema_gate(redis, plain, CARD, settings), NoGate)
    assert isinstance(make_schema_gate(redis, holding, CARD, settings), TrialGate)
