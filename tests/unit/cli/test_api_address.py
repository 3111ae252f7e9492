from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from headrace.cli.api_address import ApiAddress
from headrace.core.errors import SettingsError
from tests.unit.cli.fakes import FakeClock


@pytest.fixture
def answer() -> Iterator[Callable[[int, object], ApiAddress]]:
    """Starts an API that answers every GET with this status and body."""
    servers: list[HTTPServer] = []

    def start(status: int, body: object) -> ApiAddress:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None: ...

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, args=(0.01,)).start()
        return ApiAddress("127.0.0.1", server.server_port)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "serves"),
    [
        (200, {"workers": {"ready": 1}}, True),
        (200, {"workers": {"ready": 0}}, False),
        (503, {"workers": {"ready": 1}}, False),
        (200, {}, False),
        (200, ["ready"], False),
        (200, {"workers": None}, False),
    ],
)
def test_an_api_serves_once_it_and_a_worker_are_ready(
    answer: Callable[[int, object], ApiAddress], status: int, body: object, serves: bool
) -> None:
    assert answer(status, body).is_serving() is serves


def test_a_proxy_in_the_environment_is_not_asked(
    answer: Callable[[int, object], ApiAddress], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert answer(200, {"workers": {"ready": 1}}).is_serving()


def test_an_api_that_is_not_there_does_not_serve() -> None:
    assert not ApiAddress("127.0.0.1", free_port()).is_serving()


def test_a_port_in_use_is_refused_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"HEADRACE_PORT.*127\.0\.0\.1:{port}.*in use"):
            ApiAddress("127.0.0.1", port).wait_until_free(0, FakeClock())


def test_a_port_may_take_a_moment_to_become_free() -> None:
    clock = FakeClock()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        clock.after(3, taken.close)
        ApiAddress(*taken.getsockname()).wait_until_free(10, clock)
    assert 1003 <= clock.now() < 1010


def test_a_free_port_is_left_free() -> None:
    address = ApiAddress("127.0.0.1", free_port())
    address.wait_until_free(0, FakeClock())
    address.wait_until_free(0, FakeClock())


def test_a_host_that_is_not_of_this_machine_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1"):
        ApiAddress("192.0.2.1", 8000).wait_until_free(0, FakeClock())


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("queue.local", "http://queue.local:8000"),
    ],
)
def test_the_url_is_one_that_a_client_here_can_use(host: str, url: str) -> None:
    assert ApiAddress(host, 8000).url == url


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_without_workers_an_api_serves_once_it_is_ready(
    answer: Callable[[int, object], ApiAddress],
) -> None:
    assert answer(200, {"workers": {"ready": 0}}).is_serving(workers=0)
