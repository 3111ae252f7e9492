"""Connections to Redis, with the time-outs that each kind of process needs."""

from __future__ import annotations

from typing import Any

from redis import BlockingConnectionPool, Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from headrace.core.errors import SettingsError, Unavailable

Client = Any
"""A `redis.Redis` whose replies are bytes; redis-py types its replies for text clients as well."""

API_TIMEOUT_S = 1.5
WORKER_TIMEOUT_S = 4.0
"""A worker waits longer: it has a result to hand in, the API a caller to answer."""


def connect(url: str, timeout_s: float | None, connections: int = 64) -> Client:
    """A client that returns bytes. `timeout_s` None waits for ever, for blocking reads."""
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(ExponentialWithJitterBackoff(cap=0.2, base=0.02), 2),
            retry_on_error=[],
            health_check_interval=30,
        )
    except ValueError as error:
        raise SettingsError(f"REDIS_URL: {error}") from error
    return Redis(connection_pool=pool)


def require_durable(redis: Client) -> None:
    """Refuses a server that would throw jobs away when its memory is full.

    Raises `SettingsError`, or `Unavailable` when it does not answer.
    """
    try:
        policy = redis.info("memory").get("maxmemory_policy", "noeviction")
    except RedisError as error:
        raise Unavailable(f"Redis does not answer: {error}") from error
    if policy != "noeviction":
        raise SettingsError(f"REDIS_URL: maxmemory-policy is {policy}; jobs need noeviction")
