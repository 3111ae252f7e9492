"""The key store of the deployment that a command's settings name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from redis.exceptions import RedisError

from headrace.cli.embedded_redis import socket_path_of
from headrace.cli.redis_ping import without_password
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.connection import API_TIMEOUT_S, connect
from headrace.core.errors import Unavailable
from headrace.core.settings import Settings


@contextmanager
def open_key_store(settings: Settings) -> Iterator[ApiKeyStore]:
    """Raises `Unavailable` where its Redis does not answer."""
    url = settings.redis_url or _embedded_url(settings)
    redis = connect(url, API_TIMEOUT_S)
    try:
        yield ApiKeyStore(redis)
    except RedisError as error:
        raise Unavailable(
            f"no Redis answers at {without_password(url)} ({error}); start `headrace up`, or name "
            "its Redis with --redis-url, its folder with --state-dir"
        ) from error
    finally:
        redis.connection_pool.disconnect()


def _embedded_url(settings: Settings) -> str:
    return f"unix://{quote(str(socket_path_of(settings.state_dir / 'redis')))}"
