"""RQ's own tools, workers and calls on a server where a BatchWorker runs jobs of ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from rq import Queue, SimpleWorker, Worker
from rq.command import send_stop_execution_command, send_stop_job_command
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer

from batcher.simulated import SimulatedEngine
from headrace.core.connection import Client
from headrace.core.jobs import keys, rq_adapter
from headrace.core.settings import Settings
from headrace.core.types import JobState
from tests.bench import Bench
from tests.fakes import make_card, make_request
from tests.waiting import eventually
from worker.batch_worker import IDLE_WAIT_S
from worker.engine_port import LocalEngine

Rq = Callable[..., str]


@pytest.fixture
def bench(redis: Client, settings: Settings) -> Bench:
    return Bench(redis, settings)


@pytest.fixture
def live(bench: Bench) -> Iterator[Bench]:
    """A bench whose worker RQ knows and can command."""
    bench.worker.start()
    yield bench
    bench.worker.teardown()


@pytest.fixture
def queue(redis: Client) -> Queue:
    """Our queue as stock RQ sees it."""
    return Queue("headrace-default", connection=redis, serializer=JSONSerializer)


@pytest.fixture
def rq(redis_url: str) -> Rq:
    """The `rq` command; returns what it printed."""

    def run(command: str, *arguments: str) -> str:
        program = Path(sys.executable).with_name("rq")
        done = subprocess.run(
            [program, command, "--url", redis_url, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def enqueue(queue: Queue, job_id: str, **options: object) -> Job:
    """As a program does that knows RQ and not Headrace."""
    arguments = (make_request(job_id).encode(),)
    return queue.enqueue_call("headrace.generate", arguments, job_id=job_id, **options)


def run_until_idle(bench: Bench) -> None:
    bench.turn(1)
    while bench.worker.running:
        bench.turn(1)


def executions(redis: Client) -> int:
    """Traces of running jobs, in all places where RQ keeps them."""
    patterns = ("rq:execution:*", "rq:executions:*", "rq:wip:*", "rq:worker:*:executions")
    return sum(len(redis.keys(pattern)) for pattern in patterns)


# -- the command line ------------------------------------------------------------------------------


def test_rq_info_counts_our_jobs_and_shows_the_worker(live: Bench, queue: Queue, rq: Rq) -> None:
    live.submit(make_request("done", max_tokens=1), make_request("broken", max_tokens=1000))
    live.submit(make_request("aside", card_hash="other"))
    live.turn(1)
    live.submit(make_request("running", max_tokens=100))
    live.turn(1)
    live.submit(make_request("waiting"), make_request("cancelled"))
    live.queue.cancel("cancelled")
    queue.enqueue_in(timedelta(hours=1), "headrace.generate", job_id="scheduled")
    enqueue(queue, "deferred", depends_on="running")

    shown = rq("info", "--raw")

    assert "queue headrace-default 1, 1 executing, 1 finished, 1 failed" in shown
    assert "worker worker-1 (" in shown
    assert "jobs: 1 finished, 1 failed" in shown
    assert live.state("running") is JobState.RUNNING


@pytest.mark.parametrize("options", [(), ("-S", "json")], ids=["by default", "told of JSON"])
def test_rq_requeue_has_a_failed_job_run_again(
    bench: Bench, rq: Rq, options: tuple[str, ...]
) -> None:
    bench.worker.engine = LocalEngine(
        SimulatedEngine(bench.queue.settings, make_card(context_tokens=1))
    )
    bench.submit(make_request())
    bench.turn(1)
    assert bench.state() is JobState.FAILED
    bench.worker.engine = LocalEngine(bench.engine)

    rq("requeue", "--queue", "headrace-default", *options, "job-1")
    run_until_idle(bench)

    job = bench.queue.get("job-1")
    assert (job.state, job.attempts) == (JobState.SUCCEEDED, 1)


def test_rq_suspend_keeps_the_worker_from_taking_jobs_until_rq_resume(bench: Bench, rq: Rq) -> None:
    bench.submit(make_request())
    rq("suspend")
    bench.turn(1)
    assert bench.state() is JobState.QUEUED

    rq("resume")
    run_until_idle(bench)
    assert bench.state() is JobState.SUCCEEDED


def test_rq_empty_removes_what_waits_and_leaves_what_runs(bench: Bench, rq: Rq) -> None:
    bench.submit(make_request("running"))
    bench.turn(1)
    bench.submit(make_request("waiting"))

    rq("empty", "headrace-default")
    run_until_idle(bench)

    assert bench.state("running") is JobState.SUCCEEDED
    assert not bench.redis.exists(rq_adapter.job_key("waiting"))


# -- stock workers beside ours ---------------------------------------------------------------------


def test_a_stock_worker_serves_another_queue_of_the_same_server(bench: Bench, rq: Rq) -> None:
    emails = Queue("emails", connection=bench.redis, serializer=JSONSerializer)
    email = emails.enqueue("operator.add", 1, 2)
    bench.submit(make_request())
    bench.turn(1)

    rq("worker", "--burst", "-w", "rq.SimpleWorker", "-S", "json", "emails")

    assert email.return_value(refresh=True) == 3
    assert bench.state() is JobState.RUNNING
    run_until_idle(bench)
    assert bench.state() is JobState.SUCCEEDED


def test_maintenance_of_a_stock_worker_leaves_running_jobs_alone(bench: Bench) -> None:
    bench.submit(make_request())
    bench.turn(1)
    stock = SimpleWorker(
        list(keys.QUEUE_NAMES.values()), connection=bench.redis, serializer=JSONSerializer
    )

    stock.run_maintenance_tasks()

    assert bench.state() is JobState.RUNNING
    run_until_idle(bench)
    assert bench.state() is JobState.SUCCEEDED


def test_counting_the_started_jobs_leaves_them_alone(bench: Bench, queue: Queue) -> None:
    bench.submit(make_request())
    bench.turn(1)

    assert StartedJobRegistry(queue=queue).count == 1
    assert bench.state() is JobState.RUNNING


# -- stock calls about our jobs --------------------------------------------------------------------


def is_idle(redis: Client) -> bool:
    """The worker blocks on its doorbell."""
    return any(client["cmd"] == "blpop" for client in redis.client_list())


def test_a_job_that_stock_rq_enqueued_is_run_within_the_backstop(
    bench: Bench, queue: Queue
) -> None:
    with bench.serving():
        eventually(lambda: is_idle(bench.redis))  # and stock RQ rings no doorbell
        job = enqueue(queue, "job-1")
        eventually(lambda: job.is_finished, timeout_s=IDLE_WAIT_S + 0.5)

    value = job.return_value(refresh=True)
    assert value is not None
    assert value["text"] == "hell"


def test_a_job_that_stock_rq_scheduled_is_run_when_its_time_comes(
    bench: Bench, queue: Queue
) -> None:
    request = make_request()
    queue.enqueue_in(timedelta(seconds=1), "headrace.generate", request.encode(), job_id=request.id)
    bench.leases.sweep()
    assert queue.count == 0

    eventually(lambda: bench.leases.sweep() and queue.count == 1)
    run_until_idle(bench)
    assert bench.state() is JobState.SUCCEEDED


def test_the_id_of_the_rq_job_counts_whatever_its_request_says(bench: Bench, queue: Queue) -> None:
    job = queue.enqueue("headrace.generate", make_request("of-its-request").encode())
    run_until_idle(bench)

    assert bench.state(job.id) is JobState.SUCCEEDED


def test_a_job_cancelled_through_rq_while_it_waited_is_not_run(bench: Bench, queue: Queue) -> None:
    job = enqueue(queue, "job-1")
    job.cancel()
    bench.turn(1)

    assert bench.worker.running == {}
    assert bench.state() is JobState.CANCELLED


def test_a_job_cancelled_through_rq_while_it_runs_leaves_no_trace_of_running(
    live: Bench, queue: Queue
) -> None:
    job = enqueue(queue, "job-1")
    live.turn(1)
    job.cancel()
    live.turn(1)

    assert live.worker.running == {}
    assert live.state() is JobState.CANCELLED
    assert live.redis.zcard(keys.LEASES) == 0
    assert executions(live.redis) == 0


def test_a_job_deleted_through_rq_while_it_runs_stays_deleted(live: Bench, queue: Queue) -> None:
    job = enqueue(queue, "job-1")
    live.turn(1)
    job.delete()
    live.turn(2)

    assert live.worker.running == {}
    assert not live.redis.exists(job.key)
    assert live.redis.zcard(keys.LEASES) == 0
    assert executions(live.redis) == 0


def stop_job(redis: Client, job: Job) -> None:
    send_stop_job_command(redis, job.id, serializer=JSONSerializer)


def stop_execution(redis: Client, job: Job) -> None:
    (execution,) = job.get_executions()
    send_stop_execution_command(redis, job.id, execution.id)


@pytest.mark.parametrize("send_stop", [stop_job, stop_execution])
def test_a_stop_command_ends_only_the_job_it_names(
    live: Bench, queue: Queue, send_stop: Callable[[Client, Job], None]
) -> None:
    live.submit(make_request("goes-on", max_tokens=200), make_request("stopped", max_tokens=200))
    live.turn(1)
    stopped = queue.fetch_job("stopped")
    assert stopped is not None
    eventually(lambda: live.redis.pubsub_numsub("rq:pubsub:worker-1")[0][1] == 1)

    send_stop(live.redis, stopped)
    eventually(lambda: live.turn(1) or "stopped" not in live.worker.running)

    assert stopped.is_stopped
    assert live.state("goes-on") is JobState.RUNNING


def test_workers_list_all_that_they_run(live: Bench) -> None:
    live.submit(make_request("a"), make_request("b"))
    live.turn(1)

    (shown,) = Worker.all(connection=live.redis, serializer=JSONSerializer)
    assert {execution.job_id for execution in shown.get_current_executions()} == {"a", "b"}
    assert shown.get_state() == "busy"
