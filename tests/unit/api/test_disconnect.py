"""A caller that goes away, and what becomes of its job."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import gevent
import pytest
from flask import Flask
from flask.testing import FlaskClient
from gevent import socket
from gevent.event import Event

from api.disconnect import on_disconnect, watch_answer, watch_stream
from api.schemas import OnDisconnect
from headrace.core.types import JobState
from tests.bench import Bench
from tests.fakes import make_request

Connection = tuple[socket.socket, socket.socket]


def tcp_pair() -> Connection:
    """The server's and the caller's end."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        caller = socket.create_connection(listener.getsockname())
        server, _address = listener.accept()
    return server, caller


@pytest.fixture(params=[tcp_pair, socket.socketpair], ids=["tcp", "unix"])
def connection(
    request: pytest.FixtureRequest, client: FlaskClient, bench: Bench
) -> Iterator[Connection]:
    """The server's and the caller's end, in a request whose job waits."""
    bench.submit(make_request())
    server, caller = request.param()
    environ = {"gunicorn.socket": server}
    with client.application.test_request_context(environ_overrides=environ):
        yield server, caller
    server.close()
    caller.close()


@pytest.fixture
def tcp(client: FlaskClient, bench: Bench) -> Iterator[Connection]:
    bench.submit(make_request())
    server, caller = tcp_pair()
    with client.application.test_request_context(environ_overrides={"gunicorn.socket": server}):
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


def stays_queued(bench: Bench) -> bool:
    """For longer than any look at a connection takes."""
    gevent.sleep(0.2)
    return bench.state() is JobState.QUEUED


def reset(caller: socket.socket) -> None:
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    caller.close()


def test_a_caller_that_leaves_cancels_its_job(connection: Connection, bench: Bench) -> None:
    with watch_answer("cancel", ["job-1"]):
        gevent.sleep(0)
        connection[1].close()
        assert becomes(bench, JobState.CANCELLED)
    assert bench.queue.get("job-1").reason == "disconnected"


def test_a_caller_that_had_left_before_its_job_was_accepted_cancels_it(
    connection: Connection, bench: Bench
) -> None:
    connection[1].close()
    with watch_answer("cancel", ["job-1"]):
        assert becomes(bench, JobState.CANCELLED)


def test_a_caller_that_resets_its_connection_cancels_its_job(tcp: Connection, bench: Bench) -> None:
    with watch_answer("cancel", ["job-1"]):
        gevent.sleep(0)
        reset(tcp[1])
        assert becomes(bench, JobState.CANCELLED)


def test_a_caller_that_said_continue_leaves_its_job_running(
    connection: Connection, bench: Bench
) -> None:
    with watch_answer("continue", ["job-1"]):
        connection[1].close()
        assert stays_queued(bench)


def test_a_caller_that_stays_or_sends_more_keeps_its_job(
    connection: Connection, bench: Bench
) -> None:
    server, caller = connection
    with watch_answer("cancel", ["job-1"]):
        gevent.sleep(0)
        caller.sendall(b"GET / HTTP/1.1")
        assert stays_queued(bench)
    assert server.recv(3) == b"GET"


def test_a_caller_that_sends_more_and_leaves_cancels_its_job(
    connection: Connection, bench: Bench
) -> None:
    with watch_answer("cancel", ["job-1"]):
        gevent.sleep(0)
        connection[1].sendall(b"\r\n")
        gevent.sleep(0.01)
        connection[1].close()
        assert becomes(bench, JobState.CANCELLED)


def test_a_caller_that_closes_its_sending_side_alone_keeps_its_job(
    connection: Connection, bench: Bench
) -> None:
    with watch_answer("cancel", ["job-1"]):
        gevent.sleep(0)
        connection[1].shutdown(socket.SHUT_WR)
        assert stays_queued(bench)
    assert connection[1].recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_caller_that_closes_its_sending_side_and_then_the_other_cancels_its_job(
    connection: Connection, bench: Bench
) -> None:
    with watch_answer("cancel", ["job-1"]):
        connection[1].shutdown(socket.SHUT_WR)
        gevent.sleep(0.1)
        connection[1].close()
        assert becomes(bench, JobState.CANCELLED)


def test_a_caller_of_http_1_0_knows_no_interim_answer_and_has_left(
    client: FlaskClient, bench: Bench
) -> None:
    bench.submit(make_request())
    server, caller = tcp_pair()
    environ = {"gunicorn.socket": server, "SERVER_PROTOCOL": "HTTP/1.0"}
    with (
        client.application.test_request_context(environ_overrides=environ),
        watch_answer("cancel", ["job-1"]),
    ):
        caller.shutdown(socket.SHUT_WR)
        assert becomes(bench, JobState.CANCELLED)
    assert caller.recv(100) == b""
    server.close()
    caller.close()


def test_a_connection_that_this_process_closes_is_no_hang_up(
    connection: Connection, bench: Bench
) -> None:
    with watch_answer("cancel", ["job-1"]):
        gevent.sleep(0)
        connection[0].close()
        assert stays_queued(bench)


def test_a_process_that_ends_its_requests_cancels_nothing(
    connection: Connection, bench: Bench
) -> None:
    def serve() -> None:
        with watch_answer("cancel", ["job-1"]):
            gevent.sleep(60)

    handler = gevent.spawn(serve)
    gevent.sleep(0)
    handler.kill()
    connection[0].close()
    assert stays_queued(bench)


def test_who_leaves_after_the_answer_cancels_nothing(connection: Connection, bench: Bench) -> None:
    with watch_answer("cancel", ["job-1"]):
        gevent.sleep(0)
    connection[1].close()
    assert stays_queued(bench)


def test_a_job_that_has_ended_or_is_gone_disturbs_nobody(
    connection: Connection, bench: Bench
) -> None:
    with watch_answer("cancel", ["nobody", "job-1"]):
        gevent.sleep(0)
        connection[1].close()
        assert becomes(bench, JobState.CANCELLED)


def test_a_stream_whose_caller_leaves_while_its_job_waits_cancels_it(
    tcp: Connection, bench: Bench, app: Flask
) -> None:
    written = follow(app, tcp[0])
    tcp[1].close()
    assert becomes(bench, JobState.CANCELLED)
    written.kill()


def test_a_stream_whose_caller_closes_its_sending_side_alone_goes_on(
    tcp: Connection, bench: Bench, app: Flask
) -> None:
    written = follow(app, tcp[0])
    tcp[1].shutdown(socket.SHUT_WR)
    assert stays_queued(bench)
    assert tcp[1].recv(100) == b"\n"
    written.kill()


@pytest.fixture
def app(client: FlaskClient) -> Flask:
    return client.application


def follow(app: Flask, server: socket.socket) -> gevent.Greenlet:
    """Writes a stream as the server would: nothing comes but signs of life."""
    awake = Event()
    services = app.extensions["headrace"]
    waiters = SimpleNamespace(wake=lambda _job_ids: awake.set(), close=services.waiters.close)
    app.extensions["headrace"] = replace(services, waiters=waiters)

    def signs_of_life() -> Iterator[str]:
        while awake.wait():
            awake.clear()
            yield "\n"

    def write() -> None:
        with app.test_request_context(environ_overrides={"gunicorn.socket": server}):
            for line in watch_stream(signs_of_life(), "cancel", ["job-1"]):
                server.sendall(line.encode())

    writing = gevent.spawn(write)
    gevent.sleep(0.01)
    return writing


def test_a_stream_whose_writing_failed_cancels_its_job(
    connection: Connection, bench: Bench
) -> None:
    chunks = watch_stream(iter(["a", "b"]), "cancel", ["job-1"])
    assert next(chunks) == "a"
    reset(connection[1])
    chunks.close()  # type: ignore[attr-defined]  # as the server does it
    assert bench.state() is JobState.CANCELLED


def test_a_stream_that_the_server_ends_leaves_its_job_running(
    connection: Connection, bench: Bench
) -> None:
    chunks = watch_stream(iter(["a", "b"]), "cancel", ["job-1"])
    assert next(chunks) == "a"
    chunks.close()  # type: ignore[attr-defined]
    assert bench.state() is JobState.QUEUED


@pytest.mark.parametrize(
    ("asked", "headers", "becomes"),
    [
        (None, {}, "cancel"),
        (None, {"Idempotency-Key": "a"}, "continue"),
        ("continue", {}, "continue"),
        ("cancel", {"Idempotency-Key": "a"}, "cancel"),
    ],
)
def test_what_a_hang_up_means_on_the_openai_routes(
    app: Flask, asked: OnDisconnect | None, headers: dict[str, str], becomes: OnDisconnect
) -> None:
    with app.test_request_context(headers=headers):
        assert on_disconnect(asked) == becomes


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
