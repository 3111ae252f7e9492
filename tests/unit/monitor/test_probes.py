from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import monotonic

import pytest
from redis.exceptions import RedisError

from headrace.core.connection import Client, connect
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.jobs import keys
from headrace.core.roster import Roster, WorkerState
from headrace.core.settings import Settings
from headrace.core.types import EngineStats
from headrace.monitor.probes import TIMEOUT_S, ApiProbe, RedisProbe, WorkersProbe
from tests.deployment import free_port


@contextmanager
def api(status: int) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_api_is_well_that_answers_200() -> None:
    with api(200) as url:
        assert ApiProbe(url, "/readyz").problem() is None
    with api(503) as url:
        assert "answers 503" in (ApiProbe(url, "/readyz").problem() or "")


def test_an_api_that_is_gone_or_hangs_is_not() -> None:
    assert "refused" in (ApiProbe(f"http://127.0.0.1:{free_port()}", "/healthz").problem() or "")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = monotonic()
        assert "timed out" in (ApiProbe(url, "/healthz").problem() or "")
        assert monotonic() - began < 2 * TIMEOUT_S


def test_redis_is_well_that_answers(redis: Client) -> None:
    assert RedisProbe(redis).problem() is None
    away = connect(f"redis://127.0.0.1:{free_port()}/0", TIMEOUT_S)
    assert "does not answer" in (RedisProbe(away).problem() or "")


@pytest.fixture
def probe(redis: Client, settings: Settings) -> WorkersProbe:
    return WorkersProbe(redis, settings)


def beat(redis: Client, settings: Settings, activity: str = "ready") -> None:
    state = WorkerState("worker-1", activity, 1, "fake", EngineStats())  # type: ignore[arg-type]
    Roster(redis, settings.lease_s).beat(state)


def test_a_ready_worker_is_enough(probe: WorkersProbe, redis: Client, settings: Settings) -> None:
    assert probe.problem() == "no worker is ready"
    beat(redis, settings, "draining")
    assert probe.problem() == "no worker is ready"
    beat(redis, settings)
    assert probe.problem() is None


def test_a_worker_that_fell_silent_is_none(
    probe: WorkersProbe, redis: Client, settings: Settings
) -> None:
    beat(redis, settings)
    redis.pexpire(keys.worker("worker-1"), 4900)  # of ten seconds: the last beat is old

    assert probe.problem() == "no worker is ready"


def test_none_is_missed_where_none_is_wanted(
    probe: WorkersProbe, redis: Client, settings: Settings
) -> None:
    DesiredFleet(redis, settings).muster(2)
    assert probe.problem() == "no worker is ready, 2 are wanted"
    DesiredFleet(redis, settings).muster(0)
    assert probe.problem() is None


def test_without_redis_nobody_knows_of_workers(settings: Settings) -> None:
    away = connect(f"redis://127.0.0.1:{free_port()}/0", TIMEOUT_S)
    with pytest.raises(RedisError):
        WorkersProbe(away, settings).problem()
