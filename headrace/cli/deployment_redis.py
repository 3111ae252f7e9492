"""The Redis of the deployment that a command's settings name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from redis.exceptions import RedisError, ResponseError

from headrace.cli.embedded_redis import socket_path_of
from headrace.core.connection import API_TIMEOUT_S, Client, connect
from headrace.core.errors import Unavailable
from headrace.core.redis_errors import cause_of, words_of
from headrace.core.settings import Settings
from headrace.core.urls import masked


def redis_url_of(settings: Settings) -> str:
    """Return that of REDIS_URL, or of the `headrace up` that runs on the state folder.

    Raises `SettingsError` where there is neither.
    """
    if settings.redis_url is not None:
        return settings.redis_url
    return f"unix://{quote(str(socket_path_of(settings.state_folder / 'redis')))}"


@contextmanager
def open_redis(settings: Settings) -> Iterator[Client]:
    """Raises `Unavailable` where it does not answer, or refuses what is asked."""
    url = redis_url_of(settings)
    redis = connect(url, API_TIMEOUT_S)
    try:
        yield redis
    except RedisError as error:
        if isinstance(error, ResponseError):
            cause = f"{cause_of(error)}: {words_of(error)}"
            raise Unavailable(f"the Redis at {masked(url)} {cause}") from error
        raise Unavailable(
            f"no Redis answers at {masked(url)} ({error}); start `headrace up`, or name "
            "its Redis with --redis-url, its folder with --state-dir"
        ) from error
    finally:
        redis.connection_pool.disconnect()
