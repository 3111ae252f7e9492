"""Whether others than this machine reach the API, and whether it may serve them without a key."""

from __future__ import annotations

import ipaddress

import structlog
from redis.exceptions import RedisError

from headrace.core.api_key_store import ApiKeyStore
from headrace.core.errors import SettingsError
from headrace.core.settings import Settings

log = structlog.get_logger()


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def local_url(host: str, port: int) -> str:
    """How what listens on `host` is reached from this machine."""
    host = ANY_ADDRESS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def may_be_anonymous(settings: Settings) -> bool:
    """Whether callers without a key are served as long as there is none."""
    return settings.allow_anonymous or is_loopback(settings.host)


def require_lock(settings: Settings, keys: ApiKeyStore) -> None:
    """Raises `SettingsError` where whoever reaches the API would be served.

    Where Redis is away nobody is served yet: each request is looked at again.
    """
    if may_be_anonymous(settings):
        return
    try:
        if keys.is_locked():
            return
    except RedisError as error:
        log.warning("cannot look for API keys yet", error=str(error))
        return
    raise SettingsError(
        f"HEADRACE_HOST: {settings.host} can be reached from other machines, and there is no API "
        "key yet; make one with `headrace keys create`, while the server runs on 127.0.0.1, or "
        "set HEADRACE_ALLOW_ANONYMOUS=true to serve whoever comes"
    )
