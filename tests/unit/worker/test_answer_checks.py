"""Jobs under a JSON schema end after the check of their answer, and hold up nobody meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from batcher.simulated import SimulatedEngine
from headrace.core import events
from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.settings import Settings
from headrace.core.types import SCHEMA_VIOLATION, Feature, JobState, Priority, Request, Sampling
from tests.bench import Bench
from tests.fakes import make_request
from worker.answer_check.checks import FITS, Judgement
from worker.running import ENGINE_ERROR, Running

BREAKS = Judgement("the answer breaks its json_schema: it is no JSON")


class ParrotEngine(SimulatedEngine):
    """Claims to hold output to schemas, and repeats its prompt instead."""

    features = frozenset({Feature.JSON_SCHEMA})


class ToldChecks:
    """Checks that end when a test says how."""

    def __init__(self) -> None:
        self.begun: list[Running] = []
        self._told: list[tuple[Running, Judgement]] = []

    def prepare(self) -> None: ...

    def begin(self, job: Running) -> None:
        self.begun.append(job)

    def tell(self, judgement: Judgement) -> None:
        self._told.append((self.begun.pop(0), judgement))

    def finished(self) -> list[tuple[Running, Judgement]]:
        told, self._told = self._told, []
        return told

    def wait(self, timeout_s: float) -> None: ...

    def stop(self) -> None: ...


@pytest.fixture
def checks() -> ToldChecks:
    return ToldChecks()


@pytest.fixture
def bench(redis: Client, settings: Settings, checks: ToldChecks) -> Bench:
    return Bench(redis, settings, checks=checks, kind=ParrotEngine)


def answering(
    text: str, job_id: str = "job-1", max_tokens: int = 50, stop: str = "!", **more: Any
) -> Request:
    """A request whose answer is `text`, cut before the stop string where it has one."""
    rules = Sampling(max_tokens, temperature=0.0, stop=(stop,), json_schema='{"type": "object"}')
    return make_request(job_id, prompt=text, sampling=rules, **more)


def run(bench: Bench, request: Request) -> None:
    bench.submit(request)
    bench.turn(12)


def test_an_answer_that_fits_is_a_success_once_it_was_checked(
    bench: Bench, checks: ToldChecks
) -> None:
    run(bench, answering('{"a": 1}!'))
    assert [job.text for job in checks.begun] == ['{"a": 1}']
    assert (bench.state(), bench.engine.is_idle) == (JobState.RUNNING, True)
    assert bench.redis.zscore(keys.LEASES, "job-1") is not None

    checks.tell(FITS)
    bench.turn(1)
    result = bench.queue.get("job-1").result
    assert result is not None
    assert (result["text"], result["finish_reason"]) == ('{"a": 1}', "stop")


def test_an_answer_that_does_not_fit_is_a_failure_of_its_own_kind(
    bench: Bench, checks: ToldChecks
) -> None:
    run(bench, answering('{"a": !'))
    checks.tell(BREAKS)
    bench.turn(1)

    job = bench.queue.get("job-1")
    assert (job.state, job.reason, job.attempts) == (JobState.FAILED, SCHEMA_VIOLATION, 1)
    assert job.error == BREAKS.complaint
    assert job.result is None
    assert not bench.redis.exists(keys.DEAD)
    assert bench.counters.read()["jobs:failed:schema_violation"] == 1


def test_a_stream_keeps_what_it_has_shown_and_ends_with_the_failure(
    bench: Bench, checks: ToldChecks
) -> None:
    run(bench, answering('{"a": !'))
    shown = list(events.tokens(bench.redis, "job-1"))
    checks.tell(BREAKS)
    bench.turn(1)

    stream = list(events.tokens(bench.redis, "job-1"))
    assert stream[: len(shown)] == shown
    assert bench.text() == '{"a": '
    assert (stream[-1].state, stream[-1].reason) == (JobState.FAILED, SCHEMA_VIOLATION)


def test_an_answer_that_was_cut_by_its_token_limit_is_not_checked(
    bench: Bench, checks: ToldChecks
) -> None:
    run(bench, answering('{"a": 1}!', max_tokens=4))
    assert checks.begun == []
    result = bench.queue.get("job-1").result
    assert result is not None
    assert (result["text"], result["finish_reason"]) == ('{"a"', "length")


def test_answers_without_a_schema_are_not_checked(bench: Bench, checks: ToldChecks) -> None:
    run(bench, make_request())
    assert checks.begun == []
    assert bench.state() is JobState.SUCCEEDED


def test_others_go_on_while_an_answer_is_checked(bench: Bench, checks: ToldChecks) -> None:
    run(bench, answering("{!"))
    run(bench, make_request("other"))
    assert (bench.state(), bench.state("other")) == (JobState.RUNNING, JobState.SUCCEEDED)


def test_answers_that_wait_for_their_check_hold_back_claims(
    redis: Client, settings: Settings, checks: ToldChecks
) -> None:
    settings = settings.model_copy(update={"max_slots": 1})
    bench = Bench(redis, settings, checks=checks, kind=ParrotEngine)
    run(bench, answering("{!"))
    run(bench, make_request("other"))
    assert bench.state("other") is JobState.QUEUED

    checks.tell(FITS)
    bench.turn(8)
    assert bench.state("other") is JobState.SUCCEEDED


def test_a_job_that_waits_for_its_check_makes_no_room(
    redis: Client, settings: Settings, checks: ToldChecks
) -> None:
    settings = settings.model_copy(update={"max_slots": 1})
    bench = Bench(redis, settings, checks=checks, kind=ParrotEngine)
    run(bench, answering("{!", priority=Priority.BATCH))
    bench.submit(make_request("urgent", priority=Priority.INTERACTIVE))
    bench.turn(2)
    assert (bench.state(), bench.state("urgent")) == (JobState.RUNNING, JobState.QUEUED)


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_a_job_that_ended_before_its_check_stays_as_it_is(
    bench: Bench, checks: ToldChecks, is_cancelled: bool
) -> None:
    bench.worker.start()
    run(bench, answering("{!", deadline_s=60.0))
    if is_cancelled:
        bench.queue.cancel("job-1")
        while bench.worker.running:
            bench.turn(1)
    else:
        bench.clock.sleep(61)
        bench.turn(1)
    checks.tell(FITS)
    bench.turn(1)

    assert bench.state() is (JobState.CANCELLED if is_cancelled else JobState.EXPIRED)
    bench.worker.teardown()


def test_a_check_that_failed_itself_is_tried_again(bench: Bench, checks: ToldChecks) -> None:
    run(bench, answering("{!"))
    checks.tell(Judgement("the answer could not be checked", may_pass=True))
    bench.turn(1)

    job = bench.queue.get("job-1")
    assert (job.state, job.attempts) == (JobState.QUEUED, 1)
    bench.redis.zadd("rq:scheduled:headrace-default", {"job-1": 1.0}, xx=True)
    bench.leases.sweep()
    bench.turn(12)
    checks.tell(FITS)
    bench.turn(1)
    assert bench.state() is JobState.SUCCEEDED


def test_retries_of_a_check_end_as_a_dead_letter_and_no_violation(
    bench: Bench, checks: ToldChecks
) -> None:
    bench.submit(answering("{!"))
    while bench.state() is not JobState.FAILED:
        bench.redis.zadd("rq:scheduled:headrace-default", {"job-1": 1.0}, xx=True)
        bench.leases.sweep()
        bench.turn(12)
        checks.tell(Judgement("the answer could not be checked", may_pass=True))
        bench.turn(1)
    assert bench.queue.get("job-1").reason == ENGINE_ERROR


def test_a_worker_that_takes_over_checks_the_whole_answer(
    redis: Client, settings: Settings, bench: Bench, checks: ToldChecks
) -> None:
    run(bench, answering('{"a": 1}!'))
    bench.leases.take_back("worker-1")
    later = ToldChecks()
    second = Bench(redis, settings, "worker-2", checks=later, kind=ParrotEngine)
    second.turn(3)
    assert [job.text for job in later.begun] == ['{"a": 1}']

    later.tell(FITS)
    second.turn(1)
    checks.tell(BREAKS)
    bench.turn(1)
    assert bench.state() is JobState.SUCCEEDED
    assert bench.text() == '{"a": 1}'


def test_a_job_that_came_back_is_not_ended_by_its_earlier_check(
    bench: Bench, checks: ToldChecks
) -> None:
    run(bench, answering("{!"))
    bench.leases.take_back("worker-1")
    bench.turn(3)
    assert len(checks.begun) == 2

    checks.tell(BREAKS)
    bench.turn(1)
    assert bench.state() is JobState.RUNNING
    checks.tell(FITS)
    bench.turn(1)
    assert bench.state() is JobState.SUCCEEDED
