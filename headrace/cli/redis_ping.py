"""Asks a Redis whether it is there."""

from __future__ import annotations

from redis.exceptions import RedisError

from headrace.core.connection import Client
from headrace.core.errors import Unavailable
from headrace.core.redis_errors import cause_of
from headrace.core.urls import masked


def answers_ping(redis: Client) -> bool:
    """False as well while it loads its data."""
    try:
        return bool(redis.ping())
    except RedisError:
        return False


def require_answer(redis: Client, url: str) -> None:
    """Raises `Unavailable`, with the reason, when the Redis of `REDIS_URL` does not answer."""
    try:
        redis.ping()
    except RedisError as error:
        raise Unavailable(f"REDIS_URL: {masked(url)} {cause_of(error)} ({error})") from error
