"""A deployment from open to locked, and what it says on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import openai
import pytest

from tests.deployment import Deploy, Deployment, free_port
from tests.waiting import eventually

CHAT = [{"role": "user", "content": "Hello?"}]


@pytest.fixture(scope="module")
def deployment(deploy: Deploy) -> Deployment:
    """Two API processes: both have to see a key that a third made."""
    return deploy(
        HEADRACE_ENGINE="simulated", HEADRACE_API_PROCESSES="2", HEADRACE_LOG_LEVEL="debug"
    )


def headrace(deployment: Deployment, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-m", "headrace", *arguments]
    ran = subprocess.run(
        command,
        capture_output=True,
        check=True,
        text=True,
        env=os.environ | {"HEADRACE_STATE_DIR": str(deployment.state_dir)} | environment,
    )
    return ran.stdout


def status(deployment: Deployment, key: str | None = None, path: str = "/v1/jobs") -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    # A connection of its own: any of the processes may answer.
    return httpx.get(f"{deployment.url}{path}", headers=headers).status_code


def test_the_first_key_locks_the_server_and_the_key_opens_it(deployment: Deployment) -> None:
    assert status(deployment) == 200
    key = headrace(deployment, "keys", "create", "--name", "alice").strip()

    # Each process has looked for keys within the last few seconds, and goes by what it saw.
    for path in ("/v1/jobs", "/rq/"):
        eventually(lambda it=path: [status(deployment, path=it) for _try in range(8)] == [401] * 8)

    assert status(deployment, key) == 200
    assert status(deployment, path="/healthz") == 200
    client = openai.OpenAI(base_url=f"{deployment.url}/v1", api_key=key, max_retries=0)
    answer = client.chat.completions.create(model="smollm2", messages=CHAT, max_tokens=2)
    assert answer.choices[0].message.content
    told = client.with_options(api_key="none")
    with pytest.raises(openai.AuthenticationError) as refused:
        told.chat.completions.create(model="smollm2", messages=CHAT, max_tokens=2)
    assert refused.value.code == "invalid_api_key"


def test_the_command_line_sends_its_key(deployment: Deployment) -> None:
    key = headrace(deployment, "keys", "create", "--name", "bob").strip()

    told = {"HEADRACE_URL": deployment.url, "HEADRACE_API_KEY": key}
    assert headrace(deployment, "submit", "Hello?", "--max-tokens", "2", **told)
    assert "succeeded" in headrace(deployment, "jobs", **told)
    load = ["--requests", "4", "--concurrency", "2", "--warmup", "0", "--no-progress"]
    assert "4" in headrace(deployment, "loadtest", *load, **told)


def test_the_official_client_is_told_its_limits(deployment: Deployment) -> None:
    key = headrace(deployment, "keys", "create", "--requests-per-minute", "1").strip()
    client = openai.OpenAI(base_url=f"{deployment.url}/v1", api_key=key, max_retries=0)

    first = client.chat.completions.with_raw_response.create(
        model="smollm2", messages=CHAT, max_tokens=2
    )
    assert first.headers["x-ratelimit-remaining-requests"] == "0"
    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(model="smollm2", messages=CHAT, max_tokens=2)
    assert refused.value.code == "requests_per_minute"
    assert int(refused.value.response.headers["retry-after"]) >= 1


def test_a_revoked_key_soon_opens_nothing_and_nobody_else_is_let_in(
    deployment: Deployment,
) -> None:
    key = headrace(deployment, "keys", "create").strip()
    assert status(deployment, key) == 200

    listed = json.loads(headrace(deployment, "keys", "list", "--json"))
    ids = [each["id"] for each in listed["data"]]
    headrace(deployment, "keys", "revoke", *ids)

    eventually(lambda: [status(deployment, key) for _try in range(8)] == [401] * 8)
    assert status(deployment) == 401


def test_no_log_and_no_metric_ever_shows_a_key(deployment: Deployment) -> None:
    key = headrace(deployment, "keys", "create", "--name", "canary").strip()
    headrace(deployment, "keys", "list")
    wrong = key[:-1] + ("a" if key[-1] != "a" else "b")
    for text in (key, wrong):
        bearer = {"Authorization": f"Bearer {text}"}
        for path in ("/v1/jobs", f"/v1/jobs/{text}", f"/{text}", f"/v1/jobs?api_key={text}"):
            httpx.get(f"{deployment.url}{path}", headers=bearer)
        body = {"prompt": text, "max_tokens": 2, "user": text}
        httpx.post(f"{deployment.url}/v1/jobs", json=body, headers=bearer)
        httpx.post(f"{deployment.url}/v1/jobs", json=body | {text: text}, headers=bearer)
        httpx.get(f"{deployment.url}/rq/", auth=("x", text))
    key_id, secret = key.split("_")[1], key.split("_", 2)[2][:-1]

    def logged() -> list[str]:
        return [line["key_id"] for line in deployment.lines() if line.get("key_id")]

    eventually(lambda: key_id in logged())
    places = {
        "log": deployment.log.read_text(),
        "redis log": "".join(path.read_text() for path in deployment.state_dir.rglob("*.log")),
        "metrics": httpx.get(f"{deployment.url}/metrics").text
        + httpx.get(f"http://127.0.0.1:{deployment.metrics_port}/metrics").text,
    }
    assert [place for place, text in places.items() if secret in text] == []


@pytest.mark.parametrize("serves", ["up", "gunicorn"])
def test_without_a_key_nothing_is_served_to_other_machines(
    tmp_path: Path, redis_url: str, serves: str, redis: object
) -> None:
    commands = {
        "up": ["headrace", "up"],
        "gunicorn": ["gunicorn", "-c", "python:api.gunicorn_conf", "api.app:create_app()"],
    }
    settings = {
        "HEADRACE_HOST": "0.0.0.0",
        "HEADRACE_PORT": str(free_port()),
        "HEADRACE_MONITOR_PORT": str(free_port()),
        "HEADRACE_STATE_DIR": str(tmp_path),
        "HEADRACE_LOG_FORMAT": "json",
    }
    if serves == "gunicorn":
        settings["REDIS_URL"] = redis_url

    refused = subprocess.run(
        [sys.executable, "-m", *commands[serves]],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | settings,
        timeout=60,
    )

    assert refused.returncode == 1
    assert "headrace keys create" in refused.stderr
    assert "HEADRACE_ALLOW_ANONYMOUS" in refused.stderr
    assert "Traceback" not in refused.stderr
