"""A day from the completion log and the scaler's decisions, on a real server."""

from __future__ import annotations

from math import isfinite

import pytest

from headrace.core.connection import Client
from headrace.core.decision_log import Record
from headrace.core.errors import InvalidRequest
from headrace.core.settings import Settings
from headrace.core.types import CANARY_TENANT, Request
from headrace.planning.history import read_history, sizes_of
from tests.bench import Bench
from tests.fakes import make_request


def record(at: float, size: int | None) -> Record:
    return Record(at, size, size, "because")


def serve(bench: Bench, *requests: Request) -> None:
    bench.submit(*requests)
    while not all(bench.state(request.id).is_terminal for request in requests):
        bench.turn(1)


def test_every_job_that_ended_is_in_the_record(redis: Client, settings: Settings) -> None:
    serve(Bench(redis, settings), make_request("job-1"), make_request("job-2"))

    recording = read_history(redis, settings)
    assert len(recording.trace) == 2
    assert recording.trace.arrivals[0] == 0.0
    assert all(map(isfinite, recording.e2e_s))
    assert all(ttft is not None and ttft >= 0 for ttft in recording.ttft_s)
    assert min(recording.trace.prompts) > 0 and min(recording.trace.outputs) >= 1
    assert "2 jobs" in recording.source


def test_the_monitors_own_jobs_are_not(redis: Client, settings: Settings) -> None:
    serve(
        Bench(redis, settings), make_request("job-1"), make_request("canary", tenant=CANARY_TENANT)
    )

    assert len(read_history(redis, settings).trace) == 1


def test_an_empty_log_is_said(redis: Client, settings: Settings) -> None:
    with pytest.raises(InvalidRequest, match="no job"):
        read_history(redis, settings)


def test_jobs_from_before_are_left_out(redis: Client, settings: Settings) -> None:
    serve(Bench(redis, settings), make_request("job-1"))

    with pytest.raises(InvalidRequest):
        read_history(redis, settings, since_s=0.0)
    assert len(read_history(redis, settings, since_s=3600).trace) == 1


def test_the_sizes_are_those_that_were_wanted_meanwhile() -> None:
    records = [record(50, 1), record(90, 2), record(110, 3), record(120, 3), record(130, None)]
    assert sizes_of([*records, record(300, 9)], 100, 200) == [(0.0, 2), (10.0, 3)]


def test_before_the_first_decision_it_is_taken_for_what_was() -> None:
    assert sizes_of([record(110, 3)], 100, 200) == [(0.0, 3)]
    assert sizes_of([record(110, None)], 100, 200) == []
