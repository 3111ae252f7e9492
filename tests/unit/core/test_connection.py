"""Connections, and the servers that are refused."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError
from structlog.testing import capture_logs

from headrace.core.connection import Client, connect, require_durable, require_master
from headrace.core.errors import SettingsError, Unavailable


def test_a_server_that_would_evict_jobs_is_refused(redis: Client) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(SettingsError, match="allkeys-lru"):
            require_durable(redis)
    finally:
        redis.config_set("maxmemory-policy", "noeviction")
    require_durable(redis)


def test_a_server_that_does_not_answer_is_named_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        require_durable(connect(f"unix://{tmp_path}/nobody.sock", 0.1))


def test_a_server_that_refuses_the_question_is_not_called_away(redis: Client) -> None:
    redis.execute_command("ACL SETUSER default -info")
    try:
        with pytest.raises(Unavailable, match="denies its user a right: the command INFO"):
            require_durable(redis)
        require_master(redis)
    finally:
        redis.execute_command("ACL SETUSER default +info")


def test_a_server_without_a_log_is_named_but_taken(redis: Client) -> None:
    redis.config_set("appendonly", "no")
    try:
        with capture_logs() as logs:
            require_durable(redis)
    finally:
        redis.config_set("appendonly", "yes")
    assert "no append-only file" in logs[0]["event"]


def test_a_replica_is_refused_and_names_its_master(redis: Client) -> None:
    require_master(redis)
    redis.replicaof("127.0.0.1", 1)
    try:
        with pytest.raises(SettingsError, match=r"read-only replica of 127\.0\.0\.1:1"):
            require_master(redis)
    finally:
        redis.replicaof("NO", "ONE")


def test_a_server_that_is_away_is_not_taken_for_a_replica(tmp_path: Path) -> None:
    require_master(connect(f"unix://{tmp_path}/nobody.sock", 0.1))


def test_a_server_that_says_nothing_is_given_up_after_one_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = connect(f"redis://127.0.0.1:{silent.getsockname()[1]}", 0.3)
        began = time.monotonic()
        with pytest.raises(RedisTimeoutError):
            client.ping()
    assert time.monotonic() - began < 0.6


def test_an_address_that_is_none_names_the_variable() -> None:
    with pytest.raises(SettingsError, match="REDIS_URL"):
        connect("nonsense", 1.0)
