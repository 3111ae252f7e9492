"""A real Redis for tests: one embedded server a session, emptied for every test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fakeredis import FakeRedis

from batcher.model_store import prepare_model
from headrace.cli.embedded_redis import prepare_embedded_redis
from headrace.cli.process import SessionProcess
from headrace.cli.redis_ping import answers_ping
from headrace.core.connection import WORKER_TIMEOUT_S, Client, connect
from headrace.core.settings import Settings
from tests.deployment import Deploy, Deployment
from tests.waiting import eventually


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_works() -> None:
    """A shell that runs the tests in the background has them, and their children, ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _no_settings_of_the_developer() -> None:
    """A test that wants a setting names it."""
    for variable in [name for name in os.environ if name.startswith("HEADRACE_")]:
        del os.environ[variable]
    os.environ.pop("REDIS_URL", None)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The session's server; take `redis` instead unless a process of its own connects to it."""
    server = prepare_embedded_redis(tmp_path_factory.mktemp("redis-server"))
    process = SessionProcess(server.command(), os.environ)
    client = connect(server.url, WORKER_TIMEOUT_S)
    eventually(lambda: answers_ping(client))
    yield server.url
    client.connection_pool.disconnect()
    process.kill()


@pytest.fixture
def redis(redis_url: str) -> Iterator[Client]:
    """A client of an empty server; replies are bytes."""
    client = connect(redis_url, WORKER_TIMEOUT_S)
    client.flushall()
    yield client
    client.connection_pool.disconnect()


@pytest.fixture
def fake_redis() -> Client:
    """Enough where no script runs and nothing blocks."""
    return FakeRedis()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Defaults, with the state folder in the test's own."""
    return Settings(state_dir=tmp_path / "state")


@pytest.fixture(scope="session")
def smollm2_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of prepared models with SmolLM2 in it, for state folders to link to."""
    state_dir = tmp_path_factory.mktemp("smollm2")
    for engine in ("torch", "openvino"):
        prepare_model(Settings(state_dir=state_dir, model="smollm2", engine=engine), print)
    return state_dir / "models"


@pytest.fixture(scope="module")
def deploy(tmp_path_factory: pytest.TempPathFactory, smollm2_models: Path) -> Iterator[Deploy]:
    """Starts a deployment with SmolLM2 and with these variables; it ends with its module."""
    with ExitStack() as stack:

        def start(**settings: str) -> Deployment:
            deployment = Deployment(tmp_path_factory.mktemp("up"), smollm2_models, **settings)
            stack.callback(deployment.close)
            deployment.start()
            return deployment

        yield start
