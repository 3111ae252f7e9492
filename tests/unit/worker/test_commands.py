"""Cancel, stop and drain, as they reach a worker in the middle of its work."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq.command import send_stop_job_command
from rq.serializers import JSONSerializer
from structlog.testing import capture_logs

from headrace.core.connection import Client
from headrace.core.jobs.counters import Counters
from headrace.core.roster import Roster
from headrace.core.settings import Settings
from headrace.core.subscription import Subscription
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


NONSENSE = [
    b"",
    b"no json",
    b"[]",
    b"3",
    b"null",
    b"{}",
    b"\xff",
    b'{"command": ["stop-job"]}',
    b'{"command": "stop-job", "job_id": 7}',
    b"[" * 100_000,
]


@pytest.fixture
def listening(bench: Bench, redis: Client) -> Iterator[Bench]:
    """A bench whose worker hears its channel."""
    bench.worker.subscribe()
    eventually(lambda: is_heard(redis, bench))
    yield bench
    bench.worker.unsubscribe()


def is_heard(redis: Client, bench: Bench) -> bool:
    return bool(redis.pubsub_numsub(bench.worker.pubsub_channel_name)[0][1])


def is_stopped_by_a_command(redis: Client, bench: Bench) -> bool:
    send_stop_job_command(redis, "a", serializer=JSONSerializer)
    bench.turn(1)
    return not bench.worker.running


def test_commands_that_nobody_can_read_leave_the_listener_running(
    listening: Bench, redis: Client
) -> None:
    start(listening, "a")
    for data in NONSENSE:
        redis.publish(listening.worker.pubsub_channel_name, data)

    eventually(lambda: is_stopped_by_a_command(redis, listening))
    assert listening.state("a") is JobState.CANCELLED


def lose_the_connection(redis: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    redis.execute_command("CLIENT", "KILL", "TYPE", "PUBSUB")


def forbid_the_channel(redis: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    redis.execute_command("ACL SETUSER default resetchannels")
    lose_the_connection(redis, monkeypatch)


def time_out(redis: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    _raise_once(monkeypatch, RedisTimeoutError("late"))


def fail_in_any_way(redis: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    _raise_once(monkeypatch, RuntimeError("a bug"))


def _raise_once(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    hears, errors = Subscription.next, [error]

    def next_or_error(subscription: Subscription, timeout_s: float) -> list[bytes] | None:
        if errors:
            raise errors.pop()
        return hears(subscription, timeout_s)

    monkeypatch.setattr(Subscription, "next", next_or_error)


@pytest.mark.parametrize(
    "harm", [lose_the_connection, forbid_the_channel, time_out, fail_in_any_way]
)
def test_a_listener_that_was_interrupted_hears_again(
    listening: Bench, redis: Client, harm: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.command_listener.RECONNECT_S", 0.05)
    start(listening, "a")
    with capture_logs() as logs:
        harm(redis, monkeypatch)
        eventually(lambda: any("interrupted" in line["event"] for line in logs))
    redis.execute_command("ACL SETUSER default allchannels")

    eventually(lambda: is_heard(redis, listening))
    eventually(lambda: is_stopped_by_a_command(redis, listening))


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
