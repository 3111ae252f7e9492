"""Messages of Redis channels, over one connection, with little done for each."""

from __future__ import annotations

import time
from collections.abc import Sequence

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from headrace.core.connection import Client

SILENCE_S = 45.0
"""A silence in which several health checks (one after 30 s) were not answered either."""


class Subscription:
    """Hears channels until it is closed.

    redis-py's `get_message` polls the socket twice before it reads it, and its handler prints every
    message for a log line that nobody reads: together they took a third of what a message cost.
    """

    def __init__(self, redis: Client, channels: Sequence[str]) -> None:
        self._heard_at = time.monotonic()
        self._pubsub = redis.pubsub(push_handler_func=_as_it_is)
        self._pubsub.subscribe(*channels)

    def close(self) -> None:
        self._pubsub.close()

    def next(self, timeout_s: float) -> list[bytes] | None:
        """Kind, channel and data of what comes next; None where nothing comes.

        The first of each channel is its `subscribe`. Raises `RedisError` without a connection, also
        where the other end vanished without closing it.
        """
        self._pubsub.check_health()
        try:
            answer = self._pubsub.connection.read_response(
                timeout=timeout_s, disconnect_on_error=False, push_request=True
            )
        except RedisTimeoutError:
            if time.monotonic() - self._heard_at > SILENCE_S:
                raise RedisConnectionError("Redis answers no health check") from None
            return None
        self._heard_at = time.monotonic()
        return answer if isinstance(answer, list) else None  # a PONG


def _as_it_is(message: list[bytes]) -> list[bytes]:
    return message
