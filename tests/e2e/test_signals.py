"""Metrics and logs of a whole deployment: several API processes, several workers."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from headrace.core.connection import API_TIMEOUT_S, connect
from tests.deployment import Deploy, Deployment
from tests.waiting import eventually

CANARY = "swordfish-7391"
ECS = {"@timestamp", "log.level", "message", "ecs.version", "service"}


@pytest.fixture(scope="module")
def fleet(deploy: Deploy) -> Deployment:
    """Two API processes and two workers on simulated engines, and everything they log."""
    return deploy(
        HEADRACE_ENGINE="simulated",
        HEADRACE_WORKERS="2",
        HEADRACE_API_PROCESSES="2",
        HEADRACE_LOG_LEVEL="debug",
    )


def samples(text: str) -> dict[str, float]:
    """`name{label=value,…}` -> value."""
    return {
        sample.name + json.dumps(sample.labels, sort_keys=True): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(deployment: Deployment) -> Mapping[str, float]:
    """What Prometheus would read from the API and from the monitor together."""
    monitor = httpx.get(f"http://127.0.0.1:{deployment.metrics_port}/metrics")
    assert monitor.status_code == 200
    # A connection of its own: whichever process answers knows what all of them counted.
    api = httpx.get(f"{deployment.url}/metrics")
    return samples(api.text) | samples(monitor.text)


def increase(deployment: Deployment, before: Mapping[str, float], name: str) -> float:
    return scrape(deployment)[name] - before.get(name, 0)


def send_raw(deployment: Deployment, request: str) -> None:
    """Returns when the server has closed the connection."""
    with socket.create_connection(("127.0.0.1", deployment.port)) as connection:
        connection.sendall(request.encode())
        while connection.recv(4096):
            pass


def test_every_request_and_job_of_the_fleet_is_counted_once(fleet: Deployment) -> None:
    before = scrape(fleet)

    def ask(number: int) -> dict[str, int]:
        body = {"prompt": f"Number {number}", "max_tokens": 4}
        response = httpx.post(f"{fleet.url}/v1/completions", json=body, timeout=60)
        usage: dict[str, int] = response.json()["usage"]
        return usage

    with ThreadPoolExecutor(10) as pool:
        usages = list(pool.map(ask, range(40)))

    served = 'headrace_requests_total{"code": "200", "route": "/v1/completions"}'
    for _scrape in range(6):
        assert increase(fleet, before, served) == 40
    ended = 'headrace_jobs_total{"reason": "length", "state": "succeeded"}'
    assert increase(fleet, before, ended) == 40
    for kind, usage in {"input": "prompt_tokens", "output": "completion_tokens"}.items():
        tokens = f'headrace_tokens_total{{"type": "{kind}"}}'
        assert increase(fleet, before, tokens) == sum(each[usage] for each in usages)
    for histogram in ("job_e2e", "queue_wait", "inference", "time_to_first_token"):
        assert increase(fleet, before, f"headrace_{histogram}_seconds_count{{}}") == 40
    assert increase(fleet, before, "headrace_slo_total{}") == 40
    assert increase(fleet, before, "headrace_tokenize_seconds_count{}") == 40


def test_steps_of_all_workers_are_counted(fleet: Deployment) -> None:
    fleet.texts([fleet.submit("x", max_tokens=5)])

    def every_row_made_a_token() -> bool:
        now = scrape(fleet)
        tokens = now['headrace_tokens_total{"type": "output"}']
        return now["headrace_batch_size_sum{}"] == tokens > 0

    eventually(every_row_made_a_token)
    assert scrape(fleet)['headrace_workers{"state": "ready"}'] == 2


def test_no_count_is_lost_with_the_process_that_made_it(fleet: Deployment) -> None:
    fleet.texts([fleet.submit("x", max_tokens=5) for _job in range(3)])
    before = scrape(fleet)
    killed = fleet.pid("worker-1")
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: fleet.pid("worker-1") != killed)

    fleet.texts([fleet.submit("x", max_tokens=5)])
    ended = 'headrace_jobs_total{"reason": "length", "state": "succeeded"}'
    assert increase(fleet, before, ended) == 1


def test_a_request_can_be_followed_by_its_id(fleet: Deployment) -> None:
    headers = {"X-Request-Id": "follow-me-1"}
    body = {"prompt": "x", "max_tokens": 2}
    answer = fleet.client.post("/v1/completions", json=body, headers=headers)

    assert answer.headers["X-Request-Id"] == "follow-me-1"
    assert "queue_wait;dur=" in answer.headers["Server-Timing"]
    job_id = answer.headers["X-Headrace-Job-Id"]

    def told() -> list[dict[str, Any]]:
        return [line for line in fleet.lines() if line.get("request_id") == "follow-me-1"]

    eventually(lambda: len(told()) == 2)  # two processes write them
    lines = told()
    assert {line["message"] for line in lines} == {"request finished", "request answered"}
    assert {line["job_id"] for line in lines} == {job_id}
    assert {line["service"]["name"].split("-")[0] for line in lines} == {"api", "worker"}


def test_no_prompt_no_output_and_no_key_is_in_a_log_a_metric_or_a_description(
    fleet: Deployment,
) -> None:
    keys = {"Authorization": f"Bearer {CANARY}", "X-Api-Key": CANARY}
    messages = [{"role": "system", "content": CANARY}, {"role": "user", "content": f"{CANARY}?"}]
    bodies = [
        {"messages": messages, "max_tokens": 30},
        {"messages": messages, "max_tokens": 30, "stream": True},
        {"messages": messages, "stop": [CANARY], "user": CANARY, "metadata": {"key": CANARY}},
        {"messages": messages, CANARY: CANARY},
        {"messages": [{"role": CANARY, "content": CANARY}]},
        {"messages": [{"role": "user", "content": CANARY * 3000}]},
        {"messages": messages, "model": CANARY},
        {"messages": messages, "deadline_s": 0.001},
    ]
    answers = [
        httpx.post(f"{fleet.url}/v1/chat/completions", json=body, headers=keys, timeout=60)
        for body in bodies
    ]
    answers += [
        httpx.post(f"{fleet.url}/v1/jobs", content=f'{{"prompt": "{CANARY}'.encode()),
        httpx.get(f"{fleet.url}/v1/jobs/{CANARY}?wait={CANARY}", headers=keys),
        httpx.get(f"{fleet.url}/{CANARY}"),
    ]
    assert CANARY in answers[0].text  # the simulated engine repeats the prompt
    body = f'{{"prompt":"{CANARY}"}}'
    for request in (
        f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{body}\r\n\r\n",
        f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\n\r\n{body}\r\n\r\n",
        f"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization Bearer {CANARY}\r\n\r\n",
    ):
        send_raw(fleet, request)
    eventually(lambda: fleet.log.read_text().count("Invalid request from") == 3)
    assert {answer.status_code for answer in answers} >= {200, 400, 404}

    with connect(fleet.redis_url, API_TIMEOUT_S) as redis:
        jobs = list(redis.scan_iter("rq:job:*"))
        descriptions = [redis.hget(job, "description").decode() for job in jobs]
        newest = redis.xrevrange("headrace:completions", count=10)
    assert len(descriptions) > 2
    places = {
        "log": fleet.log.read_text(),
        "redis log": "".join(path.read_text() for path in fleet.state_dir.rglob("*.log")),
        "metrics": httpx.get(f"{fleet.url}/metrics").text
        + httpx.get(f"http://127.0.0.1:{fleet.metrics_port}/metrics").text,
        "descriptions": "\n".join(descriptions),
        "completion log": str(newest),
    }
    assert [place for place, text in places.items() if CANARY in text] == []
    assert [place for place, text in places.items() if "swordfish" in text] == []


def test_every_line_is_ecs_json(fleet: Deployment) -> None:
    written = fleet.log.read_text().splitlines()
    for_people = [line for line in written if "ready " in line and not line.startswith("{")]

    lines = [json.loads(line) for line in written if line not in for_people]
    assert len(for_people) == 2  # the model is prepared, the API is there
    assert all(line.keys() >= ECS for line in lines)
    services = {line["service"]["name"].split("-")[0] for line in lines}
    assert services == {"supervisor", "api", "worker", "monitor", "scaler"}
