"""What a container's health check finds."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from headrace.cli.health_check import require_health
from headrace.core.connection import Client
from headrace.core.errors import SettingsError, Unavailable
from headrace.core.leadership import Leadership
from headrace.core.roster import Roster, WorkerState
from headrace.core.settings import Settings
from headrace.core.types import EngineStats
from tests.unit.cli.fakes import FakeClock

READY = b'{"workers": {"ready": 1}}'


class Server(HTTPServer):
    """Answers each path with a status; any other with 404."""

    def __init__(self, statuses: dict[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses = statuses


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.send_response(self.server.statuses.get(self.path, 404))
        self.end_headers()
        self.wfile.write(READY)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server({"/healthz": 200, "/readyz": 200})
    Thread(target=server.serve_forever, args=(0.01,)).start()
    yield server
    server.shutdown()
    server.server_close()


def require(part: str, settings: Settings, wait_s: float = 0.0) -> None:
    require_health(part, settings, wait_s, FakeClock())


def test_a_live_api_is_well_even_where_redis_is_away(server: Server) -> None:
    server.statuses["/readyz"] = 503
    settings = Settings(port=server.server_port, host="0.0.0.0")
    require("api", settings)
    with pytest.raises(Unavailable, match="the deployment is not well"):
        require("deployment", settings)


def test_an_api_that_fails_or_is_away_is_not_well(server: Server) -> None:
    settings = Settings(port=server.server_port)
    server.statuses["/healthz"] = 500
    with pytest.raises(Unavailable, match="the api is not well"):
        require("api", settings)
    server.server_close()
    with pytest.raises(Unavailable):
        require("api", settings)


def test_the_monitor_is_asked_at_its_own_port(server: Server) -> None:
    require("monitor", Settings(port=1, monitor_port=server.server_port))


def test_a_deployment_is_well_once_it_accepts_and_has_a_worker(server: Server) -> None:
    require("deployment", Settings(port=server.server_port))


def test_one_that_waits_is_content_as_soon_as_the_part_is_well(server: Server) -> None:
    clock = FakeClock()
    server.statuses["/healthz"] = 503
    clock.after(20, lambda: server.statuses.update({"/healthz": 200}))
    require_health("api", Settings(port=server.server_port), 60, clock)
    assert 1020 <= clock.now() < 1022


def test_a_worker_is_well_while_it_beats_on_this_host(redis: Client, redis_url: str) -> None:
    settings = Settings(redis_url=redis_url)
    roster = Roster(redis, ttl_s=60)
    elsewhere = WorkerState("w-1", "ready", 1, "TorchEngine", EngineStats(), host="elsewhere")
    roster.beat(elsewhere)
    with pytest.raises(Unavailable, match="the worker is not well"):
        require("worker", settings)

    roster.beat(replace(elsewhere, name="w-2", host=socket.gethostname()))
    require("worker", settings)


def test_a_worker_whose_redis_is_away_is_not_well(tmp_path: object) -> None:
    with pytest.raises(Unavailable):
        require("worker", Settings(redis_url=f"unix://{tmp_path}/none.sock"))


def test_a_worker_without_a_redis_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match="REDIS_URL"):
        require("worker", Settings(redis_url=None))


def test_a_scaler_is_well_while_one_leads(redis: Client, redis_url: str) -> None:
    settings = Settings(redis_url=redis_url)
    with pytest.raises(Unavailable, match="the scaler is not well"):
        require("scaler", settings)

    leadership = Leadership(redis, settings, "scaler-1", lease_s=60)
    leadership.take()
    require("scaler", settings)
    leadership.resign()
    with pytest.raises(Unavailable):
        require("scaler", settings)
