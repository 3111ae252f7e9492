"""The containers, from an empty volume to a killed Redis; the tests run in this order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx

from tests.docker.compose import SERVICES, Compose, docker, inspect, logs
from tests.waiting import eventually

CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]
LONG = {"max_tokens": 60}


def submit_many(deployment: Compose, count: int) -> list[str]:
    """Jobs that take a while."""
    return [deployment.submit(f"Count from {number}:", **LONG) for number in range(count)]


def statuses(jobs: list[dict[str, object]]) -> set[object]:
    return {job["status"] for job in jobs}


def test_workers_that_start_together_prepare_the_model_once(deployment: Compose) -> None:
    output = "".join(logs(container) for container in deployment.containers("worker"))

    assert output.count("engine loaded") == 3
    assert output.count("converting the GGUF file for OpenVINO") == 1
    assert output.count('"engine":"OpenVinoEngine"') == 3
    assert output.count("waiting for another process") == 2


def test_every_container_becomes_healthy(deployment: Compose) -> None:
    containers = [each for service in SERVICES for each in deployment.containers(service)]

    assert len(containers) == 6
    for container in containers:
        eventually(lambda it=container: inspect(it)["State"]["Health"]["Status"] == "healthy", 120)


def test_a_chat_is_answered_sensibly(deployment: Compose) -> None:
    body = {"messages": CAPITAL, "temperature": 0}
    answer = deployment.client.post("/v1/chat/completions", json=body)

    assert answer.status_code == 200, answer.text
    assert "Paris" in answer.json()["choices"][0]["message"]["content"]


def test_api_and_monitor_export_what_they_counted(deployment: Compose) -> None:
    assert 'route="/v1/chat/completions"} 1.0' in deployment.client.get("/metrics").text

    fleet = httpx.get(deployment.metrics_url).text
    assert 'headrace_jobs_total{reason="stop",state="succeeded"} 1.0' in fleet
    assert 'headrace_workers{state="ready"} 3.0' in fleet


def test_api_and_monitor_are_published_and_only_on_loopback(deployment: Compose) -> None:
    published = {
        service: [
            place["HostIp"]
            for container in deployment.containers(service)
            for places in inspect(container)["NetworkSettings"]["Ports"].values()
            for place in places or []
        ]
        for service in SERVICES
    }

    loopback = ["127.0.0.1"]
    assert published == {"redis": [], "api": loopback, "worker": [], "monitor": loopback}


def test_nothing_runs_as_root_or_may_write_its_image(deployment: Compose) -> None:
    for service in ("api", "worker", "monitor"):
        assert deployment.execute(service, "id", "-u").strip() == "10001"
        capabilities = deployment.execute(service, "grep", "Cap", "/proc/1/status")
        assert {line.split()[1] for line in capabilities.splitlines()} == {"0" * 16}
    for service in SERVICES:
        (container, *_) = deployment.containers(service)
        assert inspect(container)["HostConfig"]["ReadonlyRootfs"]


def test_the_first_process_is_ours_without_a_shell_between(deployment: Compose) -> None:
    assert "gunicorn" in deployment.execute("api", "cat", "/proc/1/cmdline")
    assert deployment.execute("worker", "cat", "/proc/1/cmdline") == "python\0-m\0worker\0"


def test_the_slim_image_has_neither_torch_nor_transformers(deployment: Compose) -> None:
    code = (
        "from importlib.util import find_spec\n"
        "print([name for name in ('flask', 'torch', 'transformers') if find_spec(name)])"
    )

    assert deployment.execute("api", "python", "-c", code).strip() == "['flask']"
    assert "torch" in deployment.execute("worker", "python", "-c", code)


def test_a_setting_of_the_caller_reaches_the_containers(deployment: Compose) -> None:
    listed = deployment.execute("worker", "env").splitlines()

    assert "HEADRACE_MAX_SLOTS=8" in listed
    assert not [line for line in listed if line.startswith("HEADRACE_MODEL=")]


def test_a_killed_worker_loses_no_job(deployment: Compose) -> None:
    ids = submit_many(deployment, 24)  # 8 slots for each of the three
    eventually(lambda: statuses([deployment.job(each) for each in ids]) == {"running"}, 60)

    docker("kill", deployment.containers("worker")[0])

    jobs = deployment.ended(ids)
    assert statuses(jobs) == {"succeeded"}
    assert [job["attempts"] for job in jobs].count(2) == 8


def test_a_killed_worker_starts_again_in_its_container(deployment: Compose) -> None:
    deployment.scale(1)
    (container,) = deployment.containers("worker")
    loads_before = logs(container).count("engine loaded")
    docker("kill", container)

    docker("start", container)

    eventually(lambda: logs(container).count("engine loaded") == loads_before + 1, 60)
    assert "worker fails" not in logs(container)
    assert statuses(deployment.ended([deployment.submit("Still there?", max_tokens=2)])) == {
        "succeeded"
    }


def test_scaling_up_and_down_under_load_loses_no_job(deployment: Compose) -> None:
    deployment.scale(1)
    enough = Event()

    def keep_submitting() -> list[str]:
        ids = []
        while not enough.wait(0.05):
            ids.append(deployment.submit(f"Say {len(ids)}.", max_tokens=4))
        return ids

    with ThreadPoolExecutor(1) as pool:
        submitted = pool.submit(keep_submitting)
        try:
            deployment.scale(3)
            deployment.scale(1)
        finally:
            enough.set()
    ids = submitted.result()

    jobs = deployment.ended(ids)
    assert len(jobs) > 100
    assert statuses(jobs) == {"succeeded"}
    assert {job["attempts"] for job in jobs} == {1}, "a worker that was told to end did not drain"
    assert sorted(set(deployment.completions()) & set(ids)) == sorted(ids)
    assert len(deployment.completions()) == len(set(deployment.completions()))


def test_a_killed_redis_keeps_every_job(deployment: Compose) -> None:
    ids = submit_many(deployment, 24)  # 8 run, the others wait
    docker("kill", *deployment.containers("redis"))

    deployment.scale(1)

    assert statuses(deployment.ended(ids)) == {"succeeded"}


def test_a_worker_that_still_prepares_its_model_ends_when_it_is_told_to(
    deployment: Compose,
) -> None:
    arguments = ["--detach", "--no-deps", "-e", "HEADRACE_STATE_DIR=/tmp/state", "worker"]
    container = deployment.run("run", *arguments).strip().splitlines()[-1]
    eventually(lambda: "converting the GGUF file for OpenVINO" in logs(container), 60)

    docker("stop", "-t", "60", container)

    assert inspect(container)["State"]["ExitCode"] == 128 + 15
    docker("rm", container)
