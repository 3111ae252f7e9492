"""Health and readiness, with and without Redis, a card and workers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from headrace.core.connection import Client
from headrace.core.roster import Roster, WorkerState
from headrace.core.settings import Settings
from headrace.core.types import EngineStats
from tests.waiting import eventually


@pytest.mark.parametrize("path", ["/healthz", "/health"])
def test_a_process_is_healthy_while_it_lives(client: FlaskClient, path: str) -> None:
    assert client.get(path).json == {"status": "ok"}
    assert client.head(path).status_code == 200


def test_the_api_is_ready_without_a_worker_and_says_so(client: FlaskClient) -> None:
    response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json is not None
    assert response.json["workers"] == {"ready": 0, "draining": 0}
    assert response.json["model"] == "tiny"


def test_live_workers_are_counted(client: FlaskClient, redis: Client) -> None:
    beat = WorkerState("worker-1", "ready", os.getpid(), "SimulatedEngine", EngineStats())
    Roster(redis, ttl_s=60).beat(beat)

    response = client.get("/readyz")
    assert response.json is not None
    assert response.json["workers"]["ready"] == 1


def test_without_a_card_the_api_is_not_ready(client: FlaskClient, redis: Client) -> None:
    redis.flushall()

    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json is not None
    assert "model card" in response.json["error"]["message"]


def test_without_redis_the_api_lives_but_is_not_ready(settings: Settings, tmp_path: Path) -> None:
    nowhere = settings.model_copy(update={"redis_url": f"unix://{tmp_path}/nobody.sock"})
    client = create_app(nowhere).test_client()

    assert client.get("/healthz").status_code == 200
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert client.post("/v1/jobs", json={"prompt": "x"}).status_code == 503


@pytest.fixture
def disk_is_full(redis: Client) -> Iterator[None]:
    """Where the snapshot should go stands a folder, so that it fails; then writes are refused."""
    in_the_way = Path(redis.config_get("dir")["dir"]) / redis.config_get("dbfilename")["dbfilename"]
    in_the_way.mkdir()
    (in_the_way / "something").touch()
    redis.config_set("save", "3600 1")
    redis.bgsave()
    eventually(lambda: redis.info("persistence")["rdb_last_bgsave_status"] == "err")
    yield
    redis.config_set("save", "")
    rmtree(in_the_way)


@pytest.fixture
def memory_is_full(redis: Client) -> Iterator[None]:
    redis.config_set("maxmemory", 1)
    yield
    redis.config_set("maxmemory", 0)


@pytest.fixture
def redis_is_a_replica(redis: Client) -> Iterator[None]:
    redis.replicaof("127.0.0.1", 1)
    yield
    redis.replicaof("NO", "ONE")


@pytest.fixture
def replicas_are_missing(redis: Client) -> Iterator[None]:
    redis.config_set("min-replicas-to-write", 1)
    yield
    redis.config_set("min-replicas-to-write", 0)


@pytest.fixture
def scripts_are_forbidden(redis: Client) -> Iterator[None]:
    redis.execute_command("ACL SETUSER default -evalsha")
    yield
    redis.execute_command("ACL SETUSER default +evalsha")


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        ("disk_is_full", "its disk may be full"),
        ("memory_is_full", "out of memory"),
        ("redis_is_a_replica", "read-only replica"),
        ("replicas_are_missing", "too few replicas"),
        ("scripts_are_forbidden", "denies its user a right: the command"),
    ],
)
def test_where_redis_accepts_no_writes_the_api_is_not_ready_and_names_the_cause(
    client: FlaskClient, request: pytest.FixtureRequest, what: str, cause: str
) -> None:
    assert client.get("/readyz").status_code == 200
    request.getfixturevalue(what)

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert response.json is not None
    assert cause in response.json["error"]["message"]
    refused = client.post("/v1/jobs", json={"prompt": "x"})
    assert refused.status_code == 503
    assert refused.json is not None
    assert cause in refused.json["error"]["message"]
    assert client.get("/healthz").status_code == 200


def test_a_look_whether_the_api_is_ready_writes_nothing(client: FlaskClient, redis: Client) -> None:
    before = redis.dbsize()
    client.get("/readyz")

    assert redis.dbsize() == before
