"""Cancel, stop and drain, as they reach a worker in the middle of its work."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rq.command import send_stop_job_command
from rq.serializers import JSONSerializer

from headrace.core.connection import Client
from headrace.core.jobs.counters import Counters
from headrace.core.roster import Roster
from headrace.core.settings import Settings
from headrace.core.types import JobState
from tests.bench import Bench
from tests.fakes import make_request
from tests.waiting import eventually


@pytest.fixture
def bench(redis: Client, settings: Settings) -> Bench:
    """Publishes rarely, so that a worker learns of a cancel by its command alone."""
    return Bench(redis, settings, publish_interval_ms=1_000_000)


def send(bench: Bench, **command: Any) -> None:
    bench.worker.handle_payload({"data": json.dumps(command).encode()})


def start(bench: Bench, *job_ids: str) -> None:
    bench.submit(*(make_request(job_id, max_tokens=100) for job_id in job_ids))
    bench.turn(2)


def work_off(bench: Bench) -> None:
    """Turns while there is something to do: an idle one waits."""
    while bench.worker.running or bench.queue.waiting():
        bench.turn(1)


def test_a_cancelled_job_is_dropped_before_the_next_step(bench: Bench) -> None:
    start(bench, "a", "b")
    bench.queue.cancel("a")
    send(bench, command="drop-execution", job_id="a")
    bench.turn(1)

    assert list(bench.worker.running) == ["b"]
    assert bench.state("a") is JobState.CANCELLED


def test_a_cancel_reaches_the_worker_that_runs_the_job(bench: Bench) -> None:
    bench.worker.start()
    try:
        start(bench, "a", "b")
        bench.queue.cancel("a")
        eventually(lambda: not bench.worker._commands.empty())
        bench.turn(1)
        assert list(bench.worker.running) == ["b"]
    finally:
        bench.worker.teardown()


@pytest.mark.parametrize("job_id", ["a", "b", "c"])
def test_every_job_of_a_batch_can_be_stopped_by_rqs_command(bench: Bench, job_id: str) -> None:
    bench.worker.start()
    try:
        start(bench, "a", "b", "c")
        send_stop_job_command(bench.redis, job_id, serializer=JSONSerializer)
        eventually(lambda: not bench.worker._commands.empty())
        bench.turn(1)
        assert bench.state(job_id) is JobState.CANCELLED
        assert len(bench.worker.running) == 2
    finally:
        bench.worker.teardown()


def test_a_stopped_job_keeps_what_it_had_streamed(bench: Bench) -> None:
    start(bench, "a")
    send(bench, command="stop-job", job_id="a")
    bench.turn(1)

    assert bench.text("a") == "he"
    assert bench.queue.get("a").error == "stopped on request"
    assert bench.engine.is_idle


def test_a_command_for_a_job_of_another_worker_is_ignored(bench: Bench) -> None:
    start(bench, "a")
    send(bench, command="stop-job", job_id="elsewhere")
    bench.turn(1)

    assert list(bench.worker.running) == ["a"]


def test_a_command_for_an_earlier_execution_is_ignored(bench: Bench) -> None:
    start(bench, "a")
    send(bench, command="stop-execution", job_id="a", execution_id="of an earlier attempt")
    bench.turn(1)

    assert list(bench.worker.running) == ["a"]


@pytest.mark.parametrize("data", [b"", b"no json", b"[]", b"\xff"])
def test_a_command_that_nobody_can_read_is_ignored(bench: Bench, data: bytes) -> None:
    start(bench, "a")
    bench.worker.handle_payload({"data": data})
    bench.turn(1)

    assert list(bench.worker.running) == ["a"]


def test_a_worker_told_to_drain_finishes_what_runs_and_takes_no_more(
    redis: Client, bench: Bench
) -> None:
    start(bench, "a")
    Roster(redis, ttl_s=10).drain("worker-1")
    bench.submit(make_request("b"))
    bench.turn(1)
    assert bench.worker.activity == "draining"

    bench.turn(100)
    assert (bench.state("a"), bench.state("b")) == (JobState.SUCCEEDED, JobState.QUEUED)
    assert bench.worker.activity == "drained"


def test_a_drained_worker_goes_on_when_the_flag_is_taken_back(redis: Client, bench: Bench) -> None:
    roster = Roster(redis, ttl_s=10)
    roster.drain("worker-1")
    bench.submit(make_request("a"))
    bench.turn(2)
    roster.resume("worker-1")
    work_off(bench)

    assert bench.state("a") is JobState.SUCCEEDED
    assert bench.worker.activity == "ready"


def test_no_ring_is_lost_on_a_drained_worker(redis: Client, bench: Bench) -> None:
    Roster(redis, ttl_s=10).drain("worker-1")
    bench.submit(make_request("a"))
    bench.turn(3)

    peer = Bench(redis, bench.queue.settings, "worker-2")
    before = peer.redis.llen("headrace:doorbell")
    work_off(peer)
    assert before == 1
    assert bench.state("a") is JobState.SUCCEEDED


def test_a_suspect_runs_alone(redis: Client, settings: Settings, bench: Bench) -> None:
    bench.submit(make_request("suspect", max_tokens=50))
    for number in range(2):
        dying = Bench(redis, settings, f"dying-{number}")
        dying.turn(1)
        dying.leases.take_back(dying.worker.name)
    bench.submit(make_request("innocent"))

    bench.turn(3)
    assert list(bench.worker.running) == ["suspect"]
    work_off(bench)
    assert (bench.state("suspect"), bench.state("innocent")) == (
        JobState.SUCCEEDED,
        JobState.SUCCEEDED,
    )
    assert "late:finish" not in Counters(redis, settings).read()
