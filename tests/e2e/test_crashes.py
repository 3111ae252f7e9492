"""kill -9, and what becomes of the jobs."""

from __future__ import annotations

import os
import signal

import httpx
import psutil
import pytest

from tests.deployment import Deployment
from tests.waiting import eventually

pytestmark = pytest.mark.parametrize(
    "deployment", ["torch", "openvino"], indirect=True, scope="module"
)
PROMPTS = [f"Count upwards from {number * 7}: {number * 7}," for number in range(16)]


def start_jobs(deployment: Deployment) -> list[str]:
    """All of them run, and have streamed some tokens."""
    ids = [deployment.submit(prompt, max_tokens=40) for prompt in PROMPTS]
    eventually(
        lambda: all(deployment.job(job_id)["timings"]["first_token_at"] for job_id in ids), 60
    )
    assert {deployment.job(job_id)["status"] for job_id in ids} == {"running"}
    return ids


@pytest.fixture(scope="module")
def uninterrupted(deployment: Deployment) -> list[str]:
    """Texts of the jobs where nothing happens to them."""
    return deployment.texts([deployment.submit(prompt, max_tokens=40) for prompt in PROMPTS])


def test_a_killed_engine_is_loaded_anew_and_its_jobs_go_on(
    deployment: Deployment, uninterrupted: list[str]
) -> None:
    ids, worker = start_jobs(deployment), deployment.pid("worker-1")
    children = psutil.Process(worker).children()
    (engine,) = (child for child in children if "worker.engine_process" in child.cmdline())
    engine.kill()

    assert deployment.texts(ids) == uninterrupted
    assert {deployment.job(job_id)["attempts"] for job_id in ids} == {2}
    assert deployment.pid("worker-1") == worker
    assert "engine died" in deployment.messages()


def test_a_killed_worker_loses_nothing_and_contradicts_nothing(
    deployment: Deployment, uninterrupted: list[str]
) -> None:
    ids = start_jobs(deployment)
    os.kill(deployment.pid("worker-1"), signal.SIGKILL)

    assert deployment.texts(ids) == uninterrupted
    assert {deployment.job(job_id)["attempts"] for job_id in ids} == {2}
    assert "died" in deployment.messages()


def test_after_a_kill_of_everything_queued_and_running_jobs_finish(deployment: Deployment) -> None:
    running = start_jobs(deployment)
    waiting = [deployment.submit(prompt, max_tokens=4) for prompt in PROMPTS * 2]
    engines_before = deployment.messages().count("engine loaded")
    deployment.kill()

    deployment.start()

    assert deployment.client.get("/readyz").json()["workers"]["ready"] == 1
    assert deployment.messages().count("engine loaded") > engines_before
    assert len(deployment.texts(running + waiting)) == 48


def test_a_killed_redis_comes_back_and_no_job_notices(deployment: Deployment) -> None:
    ids = start_jobs(deployment)
    killed = deployment.pid("redis")
    os.kill(killed, signal.SIGKILL)

    eventually(lambda: deployment.pid("redis") != killed)
    eventually(lambda: deployment.client.get("/readyz").status_code == 200, 30)
    assert len(deployment.texts(ids)) == 16
    assert {deployment.job(job_id)["attempts"] for job_id in ids} == {1}


def test_a_killed_api_is_started_again_and_its_jobs_go_on(deployment: Deployment) -> None:
    job_id = deployment.submit(PROMPTS[0], max_tokens=20)
    killed = deployment.pid("api")
    os.killpg(killed, signal.SIGKILL)

    eventually(lambda: deployment.pid("api") != killed)
    eventually(lambda: _is_healthy(deployment), 30)
    assert deployment.texts([job_id])


def _is_healthy(deployment: Deployment) -> bool:
    try:
        return deployment.client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False
