"""Whether the parts of a deployment are well, as seen from the host that they run on."""

from __future__ import annotations

import socket
from collections.abc import Callable

from redis.exceptions import RedisError

from headrace.cli.api_address import ApiAddress
from headrace.core.clock import Clock
from headrace.core.connection import API_TIMEOUT_S, connect
from headrace.core.errors import SettingsError, Unavailable
from headrace.core.leadership import has_leader
from headrace.core.roster import Roster
from headrace.core.settings import Settings

RETRY_S = 0.5


def require_health(part: str, settings: Settings, wait_s: float, clock: Clock) -> None:
    """Returns as soon as the part is well. Raises `Unavailable` if it is not within `wait_s`."""
    deadline = clock.now() + wait_s
    while not CHECKS[part](settings):
        if clock.now() >= deadline:
            raise Unavailable(f"the {part} is not well")
        clock.sleep(RETRY_S)


def _api_is_alive(settings: Settings) -> bool:
    return ApiAddress(settings.host, settings.port).is_alive()


def _monitor_is_alive(settings: Settings) -> bool:
    return ApiAddress(settings.host, settings.metrics_port).is_alive()


def _worker_beats(settings: Settings) -> bool:
    if settings.redis_url is None:
        raise SettingsError("REDIS_URL: a worker shows its health in the queue's Redis")
    roster = Roster(connect(settings.redis_url, API_TIMEOUT_S), settings.lease_s)
    try:
        return any(worker.host == socket.gethostname() for worker in roster.workers())
    except RedisError:
        return False


def _scaler_leads(settings: Settings) -> bool:
    if settings.redis_url is None:
        raise SettingsError("REDIS_URL: a scaler shows its health in the queue's Redis")
    try:
        return has_leader(connect(settings.redis_url, API_TIMEOUT_S))
    except RedisError:
        return False


def _deployment_serves(settings: Settings) -> bool:
    return ApiAddress(settings.host, settings.port).is_serving(settings.first_workers)


CHECKS: dict[str, Callable[[Settings], bool]] = {
    "api": _api_is_alive,
    "monitor": _monitor_is_alive,
    "worker": _worker_beats,
    "scaler": _scaler_leads,
    "deployment": _deployment_serves,
}
