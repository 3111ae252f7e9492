"""Worker processes of two model cards on one queue, some of them killed with -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.core import events
from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.jobs.job import Job
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings, as_environment
from headrace.core.types import JobState
from tests.chaos.engine_child import MODEL
from tests.chaos.worker import LOGS
from tests.fakes import CARD, make_request
from tests.waiting import eventually

OLD, NEW = replace(CARD, name="old"), replace(CARD, name="new")
LEASE_S = 1.0
LOADING_S = 60.0
JOBS = 20

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def queue(redis: Client, redis_url: str, tmp_path: Path) -> JobQueue:
    law = {"simulated_alpha_s": 0.02, "simulated_beta_s": 0.0, "simulated_gamma_s": 0.0}
    changes = law | {"lease_s": LEASE_S, "max_slots": 4, "engine": "simulated"}
    return JobQueue(redis, Settings(redis_url=redis_url, state_dir=tmp_path, **changes))


@pytest.fixture
def start(queue: JobQueue, tmp_path: Path) -> Iterator[Start]:
    """Starts a worker process of a model."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(model: str, failpoints: str = "") -> subprocess.Popen[bytes]:
        own = {LOGS: str(tmp_path), MODEL: model, "HEADRACE_FAILPOINTS": failpoints}
        command = [sys.executable, "-m", "tests.chaos.worker"]
        process = subprocess.Popen(
            [*command, "--name", f"{model}-{len(processes)}"],
            env=os.environ | as_environment(queue.settings) | own,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def submit(queue: JobQueue, names: list[str]) -> None:
    """Jobs of both models in turn."""
    for number, name in enumerate(names):
        card = (OLD, NEW)[number % 2]
        changes = {"model": card.name, "card_hash": card.hash, "max_tokens": 10}
        queue.submit(make_request(name, **changes))


def read(queue: JobQueue, names: list[str]) -> list[Job]:
    jobs = [job for job in queue.get_many(names) if job is not None]
    assert len(jobs) == len(names)
    return jobs


def have_ended(queue: JobQueue, names: list[str]) -> bool:
    return all(job.state.is_terminal for job in read(queue, names))


def assert_each_ended_once_by_its_model(queue: JobQueue, redis: Client, names: list[str]) -> None:
    for job in read(queue, names):
        assert job.state is JobState.SUCCEEDED, job
        assert job.report is not None
        assert job.report.worker.startswith(f"{job.request.model}-")
        assert job.report.output_tokens == 10
    records = [record.job_id for record in events.completions(redis, 1000)]
    assert sorted(records) == sorted(names)
    assert redis.keys("headrace:*@*") == redis.keys(keys.ASIDE) == []


def test_each_models_jobs_go_to_its_workers(queue: JobQueue, redis: Client, start: Start) -> None:
    names = [f"job-{number}" for number in range(JOBS)]
    submit(queue, names)
    start("old")
    start("new")

    eventually(lambda: have_ended(queue, names), LOADING_S)
    assert_each_ended_once_by_its_model(queue, redis, names)
    assert {job.attempts for job in read(queue, names)} == {1}


@pytest.mark.parametrize("place", ["after-claim=kill@2", "mid-step=kill@4", "before-finish=kill"])
def test_the_jobs_of_a_model_whose_last_worker_is_killed_wait_until_another_comes(
    queue: JobQueue, redis: Client, start: Start, place: str
) -> None:
    names = [f"job-{number}" for number in range(JOBS)]
    submit(queue, names)
    start("new")
    assert start("old", place).wait(LOADING_S) == -signal.SIGKILL
    eventually(lambda: have_ended(queue, names[1::2]), LOADING_S)

    # What the dead one ran is taken back by the other and set aside, as is all that it left.
    left = [job.id for job in read(queue, names[::2]) if not job.state.is_terminal]
    eventually(lambda: all(job.waiting_for for job in read(queue, left)), 10 * LEASE_S)
    assert {job.state for job in read(queue, left)} == {JobState.QUEUED}

    start("old")
    eventually(lambda: have_ended(queue, names), LOADING_S)
    assert_each_ended_once_by_its_model(queue, redis, names)
    assert max(job.attempts for job in read(queue, names)) == 2


def test_a_rolling_change_of_the_model_under_load_runs_every_job(
    queue: JobQueue, redis: Client, start: Start
) -> None:
    names = [f"job-{number}" for number in range(3 * JOBS)]
    old = start("old")
    submit(queue, names[:JOBS])
    eventually(lambda: queue.get("job-0").state is not JobState.QUEUED, LOADING_S)
    start("new")
    submit(queue, names[JOBS : 2 * JOBS])
    eventually(lambda: have_ended(queue, names[1 : 2 * JOBS : 2]), LOADING_S)
    old.send_signal(signal.SIGTERM)
    assert old.wait(LOADING_S) == 0
    submit(queue, names[2 * JOBS :])
    start("old")

    eventually(lambda: have_ended(queue, names), LOADING_S)
    assert_each_ended_once_by_its_model(queue, redis, names)
    assert {job.attempts for job in read(queue, names)} == {1}
