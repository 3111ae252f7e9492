"""A worker whose engine dies: it lives, gives its jobs back, and has another one loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from structlog.testing import capture_logs

from batcher.simulated import SimulatedEngine
from headrace.core.connection import Client
from headrace.core.errors import EngineDied, EngineError, ModelError
from headrace.core.jobs import rq_adapter
from headrace.core.settings import Settings
from headrace.core.types import Delta, JobState, Request
from tests.bench import Bench
from tests.fakes import make_request
from worker.engine_port import LocalEngine


class Mortal(LocalEngine):
    """Dies where a test wants it, and is loaded anew."""

    def __init__(self, make: Callable[[], SimulatedEngine]) -> None:
        super().__init__(make())
        self._make = make
        self._ran: set[str] = set()
        self._waits: list[Request] = []
        self.dies_of: str | None = None
        self.takes_in = True
        self.restarts: list[Exception | None] = []

    def add(self, request: Request, resume_ids: Sequence[int] = ()) -> None:
        super().add(request, resume_ids)
        if self.takes_in:
            self._ran.add(request.id)

    def step(self) -> list[Delta]:
        if self.dies_of in self._ran or self.dies_of == "a signal":
            self._die()
        return super().step()

    def check(self) -> None:
        if self.dies_of == "idleness":
            self._die()

    def restart(self, is_over: Callable[[], bool]) -> bool:
        failure = self.restarts.pop(0) if self.restarts else None
        if failure is not None:
            raise failure
        self._engine = self._make()
        return not is_over()

    def _die(self) -> None:
        ran, self._ran = frozenset(self._ran), set()
        if self.dies_of in ("a signal", "idleness"):
            self.dies_of = None
        raise EngineDied("the engine process was ended by SIGKILL", ran)


@pytest.fixture
def bench(redis: Client, settings: Settings) -> Bench:
    return Bench(redis, settings)


@pytest.fixture
def engine(bench: Bench) -> Mortal:
    engine = Mortal(lambda: SimulatedEngine(bench.queue.settings, bench.engine._card, bench.clock))
    bench.worker.engine = engine
    return engine


def deaths(bench: Bench, job_id: str) -> int:
    return int(bench.redis.hget(rq_adapter.job_key(job_id), "hr_deaths") or 0)


def test_jobs_that_ran_in_it_have_died_once_and_end_in_the_next(
    bench: Bench, engine: Mortal
) -> None:
    bench.submit(make_request("a", max_tokens=4), make_request("b", max_tokens=4))
    bench.turn(2)
    engine.dies_of = "a signal"
    bench.turn(1)
    assert bench.state("a") is JobState.QUEUED
    bench.turn(3)

    for name in "ab":
        job = bench.queue.get(name)
        assert (job.state, job.attempts, deaths(bench, name)) == (JobState.SUCCEEDED, 2, 1)
        assert bench.text(name) == "hell"


def test_jobs_that_it_had_not_taken_in_are_given_back_without_a_death(
    bench: Bench, engine: Mortal
) -> None:
    engine.takes_in = False
    bench.submit(make_request("a"))
    engine.dies_of = "a signal"
    bench.turn(1)

    assert (bench.state("a"), deaths(bench, "a")) == (JobState.QUEUED, 0)
    bench.turn(4)
    assert bench.queue.get("a").attempts == 1


def test_what_it_brought_before_is_published(
    redis: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(redis, settings, publish_interval_ms=10_000)
    engine = Mortal(lambda: SimulatedEngine(bench.queue.settings, bench.engine._card, bench.clock))
    bench.worker.engine = engine
    bench.submit(make_request("a", max_tokens=6))
    bench.turn(4)
    assert bench.text("a") == "h"
    engine.dies_of = "a signal"
    bench.turn(1)

    assert bench.text("a") == "hell"


def test_a_job_that_kills_every_engine_runs_alone_and_becomes_a_dead_letter(
    bench: Bench, engine: Mortal
) -> None:
    engine.dies_of = "poison"
    mates = [make_request(f"mate-{number}") for number in range(3)]
    bench.submit(mates[0], make_request("poison"), *mates[1:])
    bench.turn(20)

    assert bench.state("poison") is JobState.FAILED
    assert bench.queue.get("poison").reason == "dead"
    assert {bench.state(mate.id) for mate in mates} == {JobState.SUCCEEDED}
    died = json.loads(bench.redis.hget(rq_adapter.job_key("poison"), "hr_died"))
    assert died[-1]["batch_size"] == 1


def test_it_says_why_and_counts_it(bench: Bench, engine: Mortal) -> None:
    bench.submit(make_request("a"))
    bench.turn(1)
    engine.dies_of = "a signal"
    with capture_logs() as lines:
        bench.turn(1)

    (line,) = [line for line in lines if line["event"] == "engine died"]
    assert (line["reason"], line["ran"]) == ("the engine process was ended by SIGKILL", 1)
    assert bench.worker.steps.totals["engine_deaths"] == 1


def test_an_engine_that_dies_while_it_is_idle_is_loaded_before_the_next_job(
    bench: Bench, engine: Mortal
) -> None:
    engine.dies_of = "idleness"
    bench.turn(1)
    bench.submit(make_request("a"))
    bench.turn(4)

    assert (bench.state("a"), deaths(bench, "a")) == (JobState.SUCCEEDED, 0)


def test_the_first_death_costs_no_wait_and_further_ones_ever_more(
    bench: Bench, engine: Mortal
) -> None:
    waits = []
    for _death in range(4):
        engine.dies_of, began = "idleness", bench.clock.now()
        bench.turn(1)
        waits.append(bench.clock.now() - began)

    assert waits[0] == 0
    assert waits[1] < waits[2] + 0.5 < waits[3] + 1.0
    assert waits[3] >= 1.0


def test_a_load_that_fails_is_tried_again(bench: Bench, engine: Mortal) -> None:
    engine.restarts = [EngineError("was ended by SIGKILL while it loaded"), None]
    engine.dies_of = "idleness"
    with capture_logs() as lines:
        bench.turn(1)

    assert "engine does not start" in [line["event"] for line in lines]
    assert bench.worker.activity == "ready"


def test_a_model_that_cannot_be_loaded_any_more_ends_the_worker(
    bench: Bench, engine: Mortal
) -> None:
    engine.restarts = [ModelError("the file is gone")]
    engine.dies_of = "idleness"

    with pytest.raises(ModelError):
        bench.turn(1)


def test_while_it_loads_the_worker_is_said_to_restart(bench: Bench, engine: Mortal) -> None:
    seen: list[str] = []
    restart = engine.restart

    def watch(is_over: Callable[[], bool]) -> bool:
        seen.append(bench.worker.activity)
        return restart(is_over)

    engine.restart = watch  # type: ignore[method-assign]
    engine.dies_of = "idleness"
    bench.turn(1)

    assert seen == ["restarting"]
    assert bench.worker.activity == "ready"


def test_a_worker_that_is_to_end_does_not_wait_for_an_engine(bench: Bench, engine: Mortal) -> None:
    bench.worker.request_stop(15, None)
    engine.dies_of = "idleness"
    bench.turn(1)

    assert bench.worker.activity == "restarting"
