"""Connections to Redis, with the time-outs that each kind of process needs."""

from __future__ import annotations

from typing import Any

import structlog
from redis import BlockingConnectionPool, Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError, RedisError
from redis.retry import Retry

from headrace.core.errors import SettingsError, Unavailable
from headrace.core.redis_errors import cause_of
from headrace.core.urls import ENCODE, fault_of_redis_url

Client = Any
"""A `redis.Redis` whose replies are bytes; redis-py types its replies for text clients as well."""

API_TIMEOUT_S = 1.5
WORKER_TIMEOUT_S = 4.0
"""A worker waits longer: it has a result to hand in, the API a caller to answer."""

MAX_CONNECTIONS = 64

log = structlog.get_logger()


def connect(url: str, timeout_s: float) -> Client:
    """Return a client that returns bytes. Raises `SettingsError` for a URL that is none.

    No message tells any part of the URL, and no cause is kept that would: it may be a password.
    """
    if (fault := fault_of_redis_url(url)) is not None:
        raise SettingsError(f"REDIS_URL: {fault}")
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            # Not after a time-out: whoever set it would wait three times as long for an error.
            retry=Retry(ExponentialWithJitterBackoff(cap=0.2, base=0.02), 2, (ConnectionError,)),
            retry_on_error=[],
            health_check_interval=30,
        )
        pool.connection_class(**pool.connection_kwargs)  # an unknown option of the URL fails here
    except (TypeError, ValueError, RedisError):
        raise SettingsError(
            "REDIS_URL: an option behind the ? is unknown, or has no such value; if it is a part of"
            f" the password, {ENCODE}"
        ) from None
    return Redis(connection_pool=pool)


def require_master(redis: Client) -> None:
    """Refuses a replica, which accepts no job. Raises `SettingsError`.

    A server that is away, or that does not tell its role to this user, is not refused.
    """
    try:
        replication = redis.info("replication")
    except RedisError:
        return
    if replication.get("role") == "slave":
        master = f"{replication.get('master_host')}:{replication.get('master_port')}"
        raise SettingsError(
            f"REDIS_URL: this Redis is a read-only replica of {master}; name its master"
        )


def _try_channels(redis: Client) -> None:
    """Subscribe to channels as the API and the workers do. Raises `RedisError` where it may not."""
    for channel in ("headrace:events:tokens", "rq:pubsub:nobody"):
        with redis.pubsub() as pubsub:
            pubsub.subscribe(channel)
            pubsub.get_message(timeout=API_TIMEOUT_S)


def require_durable(redis: Client) -> None:
    """Refuses a server that would throw jobs away when its memory is full.

    Raises `SettingsError`, or `Unavailable` when it does not answer, or denies its user a right.
    """
    try:
        policy = redis.info("memory").get("maxmemory_policy", "noeviction")
        keeps_log = redis.info("persistence").get("aof_enabled", 0)
        _try_channels(redis)
    except RedisError as error:
        raise Unavailable(f"REDIS_URL: Redis {cause_of(error)}: {error}") from error
    if policy != "noeviction":
        raise SettingsError(f"REDIS_URL: maxmemory-policy is {policy}; jobs need noeviction")
    if not keeps_log:
        log.warning("this Redis keeps no append-only file: if it restarts, its jobs are lost")
