"""A caller that goes away, and what becomes of its job."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest
from flask.testing import FlaskClient
from gevent import socket

from api.disconnect import watch_disconnect, while_connected
from headrace.core.types import JobState
from tests.bench import Bench
from tests.fakes import make_request

Connection = tuple[socket.socket, socket.socket]


@pytest.fixture
def connection(client: FlaskClient, bench: Bench) -> Iterator[Connection]:
    """The server's and the caller's end, in a request whose job waits."""
    bench.submit(make_request())
    server, caller = socket.socketpair()
    environ = {"gunicorn.socket": server}
    with client.application.test_request_context(environ_overrides=environ):
        yield server, caller
    server.close()
    caller.close()


def becomes(bench: Bench, state: JobState) -> bool:
    """Within a second or so; gevent has its turns meanwhile."""
    for _turn in range(100):
        if bench.state() is state:
            return True
        gevent.sleep(0.01)
    return False


def test_a_caller_that_leaves_cancels_its_job(connection: Connection, bench: Bench) -> None:
    with watch_disconnect("cancel", ["job-1"]):
        gevent.sleep(0)
        connection[1].close()
        assert becomes(bench, JobState.CANCELLED)


def test_a_caller_that_said_nothing_leaves_its_job_running(
    connection: Connection, bench: Bench
) -> None:
    with watch_disconnect("continue", ["job-1"]):
        connection[1].close()
        assert gevent.wait(timeout=5)  # nothing is left to happen
    assert bench.state() is JobState.QUEUED


def test_a_caller_that_stays_or_sends_more_keeps_its_job(
    connection: Connection, bench: Bench
) -> None:
    server, caller = connection
    with watch_disconnect("cancel", ["job-1"]):
        gevent.sleep(0)
        caller.sendall(b"GET / HTTP/1.1")
        assert gevent.wait(timeout=5)  # nothing is left to happen
    assert bench.state() is JobState.QUEUED
    assert server.recv(3) == b"GET"


def test_who_leaves_after_the_answer_cancels_nothing(connection: Connection, bench: Bench) -> None:
    with watch_disconnect("cancel", ["job-1"]):
        gevent.sleep(0)
    connection[1].close()
    assert gevent.wait(timeout=5)  # nothing is left to happen
    assert bench.state() is JobState.QUEUED


def test_a_job_that_has_ended_or_is_gone_disturbs_nobody(
    connection: Connection, bench: Bench
) -> None:
    with watch_disconnect("cancel", ["nobody", "job-1"]):
        gevent.sleep(0)
        connection[1].close()
        assert becomes(bench, JobState.CANCELLED)


def test_a_stream_whose_writing_failed_cancels_its_job(
    connection: Connection, bench: Bench
) -> None:
    chunks = while_connected(iter(["a", "b"]), "cancel", ["job-1"])
    assert next(chunks) == "a"
    connection[1].close()
    chunks.close()  # type: ignore[attr-defined]  # as the server does it
    assert bench.state() is JobState.CANCELLED


def test_a_stream_that_the_server_ends_leaves_its_job_running(
    connection: Connection, bench: Bench
) -> None:
    chunks = while_connected(iter(["a", "b"]), "cancel", ["job-1"])
    assert next(chunks) == "a"
    chunks.close()  # type: ignore[attr-defined]
    assert bench.state() is JobState.QUEUED


@pytest.mark.parametrize("headers", [{}, {"Prefer": "respond-async"}])
def test_a_job_that_nobody_waits_for_cannot_be_cancelled_by_leaving(
    client: FlaskClient, bench: Bench, headers: dict[str, str]
) -> None:
    body = {"prompt": "hello", "on_disconnect": "cancel"}
    response = client.post("/v1/jobs", json=body, headers=headers)

    assert response.status_code == 400
    assert response.json is not None
    assert response.json["error"]["param"] == "on_disconnect"
    assert bench.queue.waiting() == 0
