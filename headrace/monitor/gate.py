"""Who may read the monitor's metrics."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from headrace.core.api_key import Scope
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.exposure import is_loopback
from headrace.core.settings import Settings
from headrace.core.trusted_hosts import TrustedHosts

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Gate:
    """Whoever is on this machine, where the monitor binds to loopback; else as the API has it.

    Who has no key is answered only by a Host that is known to be the monitor's own.
    """

    def __init__(self, settings: Settings, keys: ApiKeyStore) -> None:
        self._settings = settings
        self._keys = keys
        self._hosts = TrustedHosts(settings)
        self._admitted: set[bytes] = set()
        """Digests of what was admitted: an outage of Redis must be seen by whoever watches."""

    def admits(self, environ: WSGIEnvironment) -> bool:
        """Raises `redis.exceptions.RedisError` when the server is away and it has never come."""
        if is_loopback(self._settings.host) and self._hosts.admit(environ.get("HTTP_HOST")):
            return True
        credentials = sha256(environ.get("HTTP_AUTHORIZATION", "").encode()).digest()
        try:
            is_admitted = self._look(environ)
        except RedisError:
            if credentials in self._admitted:
                return True
            raise
        (self._admitted.add if is_admitted else self._admitted.discard)(credentials)
        return is_admitted

    def _look(self, environ: WSGIEnvironment) -> bool:
        if not self._keys.is_locked():
            return self._settings.allow_anonymous and self._hosts.admit(environ.get("HTTP_HOST"))
        scheme, _, text = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        key = self._keys.find(text.strip()) if scheme.lower() == "bearer" else None
        return key is not None and Scope.ADMIN in key.scopes
