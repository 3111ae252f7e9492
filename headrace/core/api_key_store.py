"""The API keys in Redis."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.core.api_key import ApiKey, Limits, Scope, digest_of, id_of, new_text
from headrace.core.clock import Clock, SystemClock
from headrace.core.connection import Client
from headrace.core.errors import ApiKeyNotFound
from headrace.core.jobs import keys

CACHE_S = 3.0
"""How long a process believes what it read: a key that was revoked may work for so long."""


class ApiKeyStore:
    """Every method raises `redis.exceptions.RedisError` when the server is away.

    Beside the keys stands that there were any: revoking the last one does not open the API.
    """

    def __init__(self, redis: Client, clock: Clock | None = None) -> None:
        self._redis = redis
        self._clock = clock or SystemClock()
        self._cache: dict[str, tuple[float, ApiKey | None]] = {}
        self._is_locked, self._unlocked_until = False, self._clock.now()

    def create(
        self,
        name: str,
        scopes: frozenset[Scope],
        tenant: str | None = None,
        limits: Limits | None = None,
        expires_in_s: float | None = None,
    ) -> tuple[str, ApiKey]:
        """The key's text, which is kept nowhere, and the key. `name` may be empty: then its id."""
        text, now = new_text(), self._now()
        key_id = id_of(text) or ""
        key = ApiKey(
            id=key_id,
            digest=digest_of(text),
            name=name or key_id,
            tenant=tenant or name or key_id,
            scopes=scopes,
            limits=limits or Limits(),
            created=now,
            expires=None if expires_in_s is None else now + expires_in_s,
        )
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hset(keys.API_KEYS, key_id, key.encode())
            pipeline.hsetnx(keys.API_KEYS, keys.LOCKED, now)
            pipeline.execute()
        return text, key

    def list(self) -> Sequence[ApiKey]:
        """All that were not revoked, the newest first."""
        fields = self._redis.hgetall(keys.API_KEYS)
        fields.pop(keys.LOCKED.encode(), None)
        found = [ApiKey.decode(text) for text in fields.values()]
        return sorted(found, key=lambda key: key.created, reverse=True)

    def revoke(self, key_id: str) -> None:
        """Raises `ApiKeyNotFound`."""
        if key_id == keys.LOCKED or not self._redis.hdel(keys.API_KEYS, key_id):
            raise ApiKeyNotFound(f"no API key {key_id}")
        self._cache.pop(key_id, None)

    def is_locked(self) -> bool:
        """Whether callers need a key: there is one, or there was."""
        if not self._is_locked and self._clock.now() >= self._unlocked_until:
            self._is_locked = bool(self._redis.hexists(keys.API_KEYS, keys.LOCKED))
            self._unlocked_until = self._clock.now() + CACHE_S
        return self._is_locked

    def find(self, text: str) -> ApiKey | None:
        """The key with this text; None where there is none, or none any more."""
        key_id = id_of(text)
        key = key_id and (self._cached(key_id) or self._read(key_id))
        return key if key and key.is_text(text) else None

    def _cached(self, key_id: str) -> ApiKey | None:
        until, key = self._cache.get(key_id, (0.0, None))
        return key if self._clock.now() < until else None

    def _read(self, key_id: str) -> ApiKey | None:
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.hget(keys.API_KEYS, key_id)
            pipeline.time()
            text, (seconds, microseconds) = pipeline.execute()
        key = ApiKey.decode(text) if text else None
        left_s = CACHE_S
        if key and key.expires is not None:
            left_s = min(left_s, key.expires - seconds - microseconds / 1e6)
        if key is None or left_s <= 0:
            self._cache.pop(key_id, None)
            return None
        self._cache[key_id] = self._clock.now() + left_s, key
        return key

    def _now(self) -> float:
        seconds, microseconds = self._redis.time()
        return float(seconds + microseconds / 1e6)
