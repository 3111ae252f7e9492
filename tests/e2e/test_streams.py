"""Streams under fire: whatever breaks, a reader that comes back gets each token once."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from tests import sse
from tests.deployment import Deploy, Deployment
from tests.stream_reader import StreamReader
from tests.waiting import eventually

PROMPT = "Count upwards from 7: 7,"
TOKENS = 80


@pytest.fixture(scope="module")
def whole(deployment: Deployment) -> str:
    """The greedy text of a run that nothing disturbs."""
    (text,) = deployment.texts([deployment.submit(PROMPT, max_tokens=TOKENS)])
    return text


def reading(deployment: Deployment, hang_up_every: int | None = None) -> StreamReader:
    """A reader in the middle of a job's text."""
    job_id = deployment.submit(PROMPT, max_tokens=TOKENS)
    reader = StreamReader(deployment.url, job_id, hang_up_every)
    reader.start()
    eventually(lambda: reader.tokens >= 3, 60)
    assert reader.end is None
    return reader


def assert_told_once(reader: StreamReader, text: str) -> None:
    end = reader.read_to_the_end()
    assert end.data["status"] == "succeeded"
    assert sse.text(reader.events) == text
    assert sse.indices(reader.events) == list(range(end.data["usage"]["completion_tokens"]))


def test_a_reader_that_is_cut_off_again_and_again_gets_each_token_once(
    deployment: Deployment, whole: str
) -> None:
    reader = reading(deployment, hang_up_every=2)

    assert_told_once(reader, whole)
    assert reader.connections > 5


def test_a_reader_goes_on_after_the_api_was_killed(deployment: Deployment, whole: str) -> None:
    reader = reading(deployment)
    os.killpg(deployment.pid("api"), signal.SIGKILL)

    assert_told_once(reader, whole)
    assert reader.connections == 2


def test_a_reader_notices_nothing_of_a_killed_worker(deployment: Deployment, whole: str) -> None:
    reader = reading(deployment)
    os.kill(deployment.pid("worker-1"), signal.SIGKILL)

    assert_told_once(reader, whole)
    assert reader.connections == 1


def test_a_reader_goes_on_after_everything_was_killed(deployment: Deployment, whole: str) -> None:
    reader = reading(deployment)
    deployment.kill()
    deployment.start()

    assert_told_once(reader, whole)
    assert reader.connections >= 2


# -- without a model -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slow(deploy: Deploy) -> Deployment:
    """A simulated engine of 10 tokens/s; an API that is asked to end has one second."""
    return deploy(
        HEADRACE_ENGINE="simulated", HEADRACE_SIMULATED_ALPHA_S="0.1", HEADRACE_DRAIN_S="1"
    )


def test_an_api_that_is_asked_to_end_tells_its_readers_no_false_end(slow: Deployment) -> None:
    reader = reading(slow)
    os.kill(slow.pid("api"), signal.SIGTERM)

    end = reader.read_to_the_end()
    assert (end.data["status"], end.data["finish_reason"]) == ("succeeded", "length")
    assert sse.indices(reader.events) == list(range(TOKENS))
    assert reader.connections == 2


def hang_up_on(deployment: Deployment, path: str, body: str, *headers: str) -> str:
    """Asks, and closes the connection once the job runs; the job's id."""
    known = job_ids(deployment)
    with socket.create_connection(("127.0.0.1", deployment.port)) as connection:
        head = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
        connection.sendall("\r\n".join([*head, "", body]).encode())
        eventually(lambda: job_ids(deployment) > known)
        (job_id,) = job_ids(deployment) - known
        eventually(lambda: deployment.job(job_id)["status"] == "running")
    return job_id


def job_ids(deployment: Deployment) -> set[str]:
    listed = deployment.client.get("/v1/jobs", params={"limit": 1000}).json()
    return {job["id"] for job in listed["data"]}


ASKED = '{"prompt": "x", "max_tokens": 60, "on_disconnect": "%s"}'
STREAMED = '{"prompt": "x", "max_tokens": 60, "stream": true, "on_disconnect": "%s"}'


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/v1/jobs", ASKED, ["Prefer: wait=60"]),
        ("/v1/completions", ASKED, []),
        ("/v1/completions", STREAMED, []),
    ],
    ids=["job", "answer", "stream"],
)
def test_who_hangs_up_cancels_the_job_where_it_said_so(
    slow: Deployment, path: str, body: str, headers: list[str]
) -> None:
    job_id = hang_up_on(slow, path, body % "cancel", *headers)

    eventually(lambda: slow.job(job_id)["status"] == "cancelled", 2)


def test_who_hangs_up_without_a_word_leaves_the_job_running(slow: Deployment) -> None:
    job_id = hang_up_on(slow, "/v1/completions", ASKED % "continue")

    assert slow.job(job_id, wait_s=60)["status"] == "succeeded"


def test_the_command_line_watches_a_job_and_shows_its_timeline(slow: Deployment) -> None:
    job_id = slow.submit("hello", max_tokens=10)

    watched = slow.headrace("jobs", job_id, "--watch")
    assert watched == slow.job(job_id)["result"]["text"] + "\n"
    assert "succeeded" in slow.headrace("jobs", job_id, "--timeline")
