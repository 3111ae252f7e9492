"""The checker finds every way in which the promise can be broken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.core.connection import Client
from headrace.core.jobs import keys, rq_adapter
from headrace.core.settings import Settings
from headrace.core.types import JobState
from tests.bench import Bench
from tests.chaos.acknowledgements import Acknowledgements
from tests.chaos.checker import Checker
from tests.fakes import make_request


@pytest.fixture
def bench(redis: Client, settings: Settings) -> Bench:
    """Has run `job-1`."""
    bench = Bench(redis, settings)
    bench.submit(make_request())
    bench.turn(4)
    return bench


@pytest.fixture
def acknowledgements(tmp_path: Path) -> Iterator[Acknowledgements]:
    acknowledgements = Acknowledgements(tmp_path / "acknowledged")
    acknowledgements.write("job-1")
    yield acknowledgements
    acknowledgements.close()


@pytest.fixture
def checker(bench: Bench, acknowledgements: Acknowledgements) -> Checker:
    return Checker(bench.queue, acknowledgements)


def test_a_job_that_ended_well_breaks_nothing(checker: Checker) -> None:
    verdict = checker.verdict()

    assert checker.unfinished() == set()
    assert verdict.jobs == 1
    assert verdict.broken_promises == []
    assert verdict.redelivered == []


def test_a_job_without_a_trace_is_lost(
    checker: Checker, acknowledgements: Acknowledgements
) -> None:
    acknowledgements.write("job-2")

    assert checker.unfinished() == {"job-2"}
    assert checker.verdict().lost == ["job-2"]


def test_a_job_that_has_not_ended_is_lost(
    checker: Checker, bench: Bench, acknowledgements: Acknowledgements
) -> None:
    bench.submit(make_request("job-2"))
    acknowledgements.write("job-2")

    assert checker.verdict().lost == ["job-2"]


def test_a_job_without_a_record_of_its_end_is_lost(checker: Checker, redis: Client) -> None:
    redis.delete(keys.COMPLETIONS)

    assert checker.verdict().lost == ["job-1"]


def test_a_second_record_of_completion_is_a_duplicate(checker: Checker, redis: Client) -> None:
    (_place, record), *_none = redis.xrange(keys.COMPLETIONS)
    redis.xadd(keys.COMPLETIONS, record)

    assert checker.verdict().duplicated == ["job-1"]


def test_a_second_result_is_a_duplicate(checker: Checker, redis: Client) -> None:
    (_place, result), *_none = redis.xrange(rq_adapter.results_key("job-1"))
    redis.xadd(rq_adapter.results_key("job-1"), result)

    assert checker.verdict().duplicated == ["job-1"]


def test_a_stream_that_says_something_else_than_the_result_contradicts(
    checker: Checker, redis: Client
) -> None:
    stream = keys.stream("job-1")
    place, _first = redis.xrange(stream)[0]
    redis.xdel(stream, place)

    assert checker.verdict().contradicted == ["job-1"]


def test_a_stream_that_takes_back_what_a_reader_has_seen_contradicts(checker: Checker) -> None:
    checker.reader.seen["job-1"] = "HELL"

    assert checker.verdict().contradicted == ["job-1"]


def test_a_job_that_took_two_attempts_is_redelivered_and_no_broken_promise(
    bench: Bench, checker: Checker, acknowledgements: Acknowledgements
) -> None:
    bench.submit(make_request("job-2"))
    acknowledgements.write("job-2")
    bench.turn(1)
    bench.leases.take_back(bench.worker.name)
    Bench(bench.redis, bench.queue.settings, "worker-2").turn(4)

    assert bench.state("job-2") is JobState.SUCCEEDED
    verdict = checker.verdict()
    assert verdict.redelivered == ["job-2"]
    assert verdict.broken_promises == []
