"""The key store of the deployment that a command's settings name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headrace.cli.deployment_redis import open_redis
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.settings import Settings


@contextmanager
def open_key_store(settings: Settings) -> Iterator[ApiKeyStore]:
    """Raises `Unavailable` where its Redis does not answer."""
    with open_redis(settings) as redis:
        yield ApiKeyStore(redis)
