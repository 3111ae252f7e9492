"""What a user does in the first five minutes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from tests.deployment import Deployment, free_port
from tests.waiting import eventually

pytestmark = pytest.mark.parametrize(
    "deployment", ["torch", "openvino"], indirect=True, scope="module"
)
CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
def client(deployment: Deployment) -> openai.OpenAI:
    """The official client, unmodified."""
    return openai.OpenAI(base_url=f"{deployment.url}/v1", api_key="none", max_retries=0)


def test_a_curl_gets_a_sensible_answer(deployment: Deployment) -> None:
    body = json.dumps({"messages": CAPITAL, "temperature": 0})
    answer = subprocess.run(
        ["curl", "-s", f"{deployment.url}/v1/chat/completions", "-d", body],
        capture_output=True,
        check=True,
    )
    assert "Paris" in json.loads(answer.stdout)["choices"][0]["message"]["content"]


def test_the_official_client_gets_a_chat_completion(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="smollm2", messages=CAPITAL, temperature=0)

    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0


def test_the_official_client_gets_the_same_text_as_a_stream(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="smollm2", messages=CAPITAL, temperature=0)
    stream = client.chat.completions.create(
        model="smollm2",
        messages=CAPITAL,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )

    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert len(pieces) > 3
    assert "".join(pieces) == whole.choices[0].message.content
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens


def test_the_official_client_gets_its_own_error_for_a_bad_field(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="smollm2", messages=CAPITAL, temperature=9)

    assert raised.value.param == "temperature"


def test_thirty_requests_at_once_run_as_one_batch(deployment: Deployment) -> None:
    with ThreadPoolExecutor(30) as pool:
        prompts = [f"Write about the number {number}." for number in range(30)]
        ids = list(pool.map(lambda prompt: deployment.submit(prompt, max_tokens=8), prompts))

    sizes = [deployment.job(job_id, wait_s=100)["batch_size"] for job_id in ids]
    assert sum(sizes) / len(sizes) > 8


def test_bad_input_is_refused_and_the_worker_lives(deployment: Deployment) -> None:
    worker = deployment.pid("worker-1")
    bodies = {
        b"": "body",
        b"{}": "messages",
        b'{"messages": 5}': "messages",
        b'{"messages": [{"role": "user", "content": "x"}], "colour": 1}': "colour",
        b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": 0}': "max_tokens",
        b'{"messages": [{"role": "user", "content": "%s"}]}' % (b"word " * 5000): "messages",
        b"\xff\xfe\xfd": "body",
        b"x" * 3_000_000: "body",
    }
    for body, param in bodies.items():
        response = deployment.client.post("/v1/chat/completions", content=body)
        assert 400 <= response.status_code < 500, (param, response.text)
        assert response.json()["error"]["param"] == param

    assert deployment.texts([deployment.submit("Still there?", max_tokens=2)])
    assert deployment.pid("worker-1") == worker


def test_rq_info_counts_the_queues_and_the_worker(deployment: Deployment) -> None:
    deployment.texts([deployment.submit("Count me.", max_tokens=2)])
    info = subprocess.run(
        [sys.executable, "-m", "rq.cli", "info", "--raw", "--url", deployment.redis_url],
        capture_output=True,
        check=True,
        text=True,
    ).stdout

    assert "queue headrace-default 0" in info
    assert "idle headrace-interactive, headrace-default, headrace-batch" in info


def test_the_dashboard_lists_the_worker(deployment: Deployment) -> None:
    workers = deployment.client.get("/rq/0/data/workers.json").json()["workers"]

    assert [worker["name"].startswith("worker-1") for worker in workers] == [True]


def test_the_command_line_submits_and_lists(deployment: Deployment) -> None:
    answer = deployment.headrace("submit", "What is the capital of France?", "--temperature", "0")
    assert "Paris" in answer
    assert "succeeded" in deployment.headrace("jobs", "--limit", "1")


def test_one_line_is_logged_for_each_finished_request_and_no_prompt(
    deployment: Deployment,
) -> None:
    job_id = deployment.submit("The password is swordfish.", max_tokens=2)
    deployment.texts([job_id])

    def finished() -> list[dict[str, Any]]:
        lines = [line for line in deployment.lines() if line["message"] == "request finished"]
        return [line for line in lines if line["job_id"] == job_id]

    eventually(finished)  # the answer may be here before the line is
    (line,) = finished()
    assert line["state"] == "succeeded"
    assert line["output_tokens"] == 2
    assert line["queue_wait_ms"] >= 0
    assert "swordfish" not in deployment.log.read_text()


def test_a_second_up_on_the_same_folder_says_so(deployment: Deployment) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "headrace", "up", "--state-dir", str(deployment.state_dir)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"HEADRACE_PORT": str(free_port())},
    )

    assert second.returncode == 1
    assert "already" in second.stderr
    assert "Traceback" not in second.stderr
    assert httpx.get(f"{deployment.url}/healthz").status_code == 200


def test_ctrl_c_finishes_what_runs_and_ends_all_in_order(deployment: Deployment) -> None:
    job_id = deployment.submit("Tell me a story.", max_tokens=30)
    deployment.client.get(f"/v1/jobs/{job_id}", params={"wait": 0.5})

    assert deployment.stop() == 0

    ended = [line["child"] for line in deployment.lines() if line["message"] == "asked to end"]
    assert ended == ["scaler", "api", "worker-1", "monitor", "redis"]
    finished = [line for line in deployment.lines() if line["message"] == "request finished"]
    assert [line["state"] for line in finished if line["job_id"] == job_id] == ["succeeded"]
