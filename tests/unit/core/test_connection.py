"""Connections, and the servers that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.connection import Client, connect, require_durable
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


def test_an_address_that_is_none_names_the_variable() -> None:
    with pytest.raises(SettingsError, match="REDIS_URL"):
        connect("nonsense", 1.0)
