"""Streams under fire: whatever breaks, a reader that comes back gets each token once."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from httpx import TransportError

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


@contextmanager
def asking(deployment: Deployment, path: str, body: str, *headers: str) -> Iterator[str]:
    """Asks; inside the block the job runs, at its end the caller hangs up. Yields the job's id."""
    known = job_ids(deployment)
    with socket.create_connection(("127.0.0.1", deployment.port)) as connection:
        head = [
            f"POST {path} HTTP/1.1",
            "Host: localhost",
            f"Content-Length: {len(body)}",
            *headers,
        ]
        connection.sendall("\r\n".join([*head, "", body]).encode())
        eventually(lambda: job_ids(deployment) > known)
        job_id = min(job_ids(deployment) - known)
        eventually(lambda: deployment.job(job_id)["status"] == "running")
        yield job_id


def job_ids(deployment: Deployment) -> set[str]:
    listed = deployment.client.get("/v1/jobs", params={"limit": 1000}).json()
    return {job["id"] for job in listed["data"]}


TEXT = '{"prompt": "x", "max_tokens": 40%s}'
CHAT = '{"messages": [{"role": "user", "content": "x"}], "max_tokens": 40%s}'
STREAMED, CHOICES = ', "stream": true', ', "n": 2'
CANCEL, CONTINUE = ', "on_disconnect": "cancel"', ', "on_disconnect": "continue"'


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/v1/jobs", TEXT % CANCEL, ["Prefer: wait=60"]),
        ("/v1/completions", TEXT % "", []),
        ("/v1/completions", TEXT % (STREAMED + CHOICES), []),
        ("/v1/chat/completions", CHAT % CHOICES, []),
        ("/v1/chat/completions", CHAT % STREAMED, []),
    ],
    ids=["job", "text", "text stream", "chat", "chat stream"],
)
def test_who_hangs_up_cancels_the_jobs(
    slow: Deployment, path: str, body: str, headers: list[str]
) -> None:
    before = job_ids(slow)
    with asking(slow, path, body, *headers) as job_id:
        pass

    eventually(lambda: slow.job(job_id)["reason"] == "disconnected", 2)
    new = job_ids(slow) - before
    assert len(new) == (2 if CHOICES in body else 1)
    eventually(lambda: {slow.job(job_id)["status"] for job_id in new} == {"cancelled"}, 2)
    ends = [line for line in slow.lines() if line["message"] == "request finished"]
    reasons = [line["reason"] for line in ends if line["job_id"] in new]
    assert reasons == ["disconnected"] * len(new)


def test_who_asks_for_it_or_has_an_idempotency_key_leaves_the_job_running(slow: Deployment) -> None:
    path, key = "/v1/completions", "Idempotency-Key: hang-up"
    with asking(slow, path, TEXT % (STREAMED + CONTINUE)) as asked:
        pass
    with asking(slow, path, TEXT % STREAMED, key) as named:
        pass

    assert slow.job(asked, wait_s=60)["status"] == "succeeded"
    assert slow.job(named, wait_s=60)["status"] == "succeeded"


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGKILL])
def test_an_api_that_ends_is_no_hang_up(slow: Deployment, signal_: signal.Signals) -> None:
    path = "/v1/completions"
    with asking(slow, path, TEXT % "") as whole, asking(slow, path, TEXT % STREAMED) as streamed:
        api = slow.pid("api")
        os.killpg(api, signal_)
        eventually(lambda: slow.pid("api") != api, 30)

    eventually(lambda: is_up(slow), 30)
    assert slow.job(whole, wait_s=60)["status"] == "succeeded"
    assert slow.job(streamed, wait_s=60)["status"] == "succeeded"


def is_up(deployment: Deployment) -> bool:
    try:
        return deployment.client.get("/healthz").status_code == 200
    except TransportError:
        return False


def test_the_command_line_watches_a_job_and_shows_its_timeline(slow: Deployment) -> None:
    job_id = slow.submit("hello", max_tokens=10)

    watched = slow.headrace("jobs", job_id, "--watch")
    assert watched == slow.job(job_id)["result"]["text"] + "\n"
    assert "succeeded" in slow.headrace("jobs", job_id, "--timeline")
