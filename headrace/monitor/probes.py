"""What is probed, and what can be wrong with it. Each probe takes a second at most."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Literal, Protocol
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from headrace.core.connection import Client
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.roster import Roster
from headrace.core.settings import Settings

Target = Literal["redis", "api-live", "api-ready", "workers"]
TIMEOUT_S = 1.0
SILENT_S = 5.0
"""Five heartbeats that a worker has missed."""


class Probe(Protocol):
    def problem(self) -> str | None:
        """None where all is well. Raises `RedisError` where Redis had to be asked and is away."""


class RedisProbe:
    def __init__(self, redis: Client) -> None:
        self._redis = redis

    def problem(self) -> str | None:
        try:
            self._redis.ping()
        except RedisError as error:
            return f"Redis does not answer: {error}"
        return None


class ApiProbe:
    """Asks for one path of the API; anything but 200 is a problem."""

    def __init__(self, url: str, path: str) -> None:
        self._place = urlsplit(url)
        self._path = self._place.path.rstrip("/") + path

    def problem(self) -> str | None:
        # Not httpx: it would ask the proxy that the environment may name.
        connection = http.client.HTTPConnection(
            self._place.hostname or "", self._place.port, timeout=TIMEOUT_S
        )
        try:
            connection.request("GET", self._path)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"{self._place.netloc}{self._path}: {error or type(error).__name__}"
        finally:
            connection.close()
        return None if status == 200 else f"{self._place.netloc}{self._path} answers {status}"


class WorkersProbe:
    """Whether anybody takes jobs, unless nobody is wanted."""

    def __init__(self, redis: Client, settings: Settings) -> None:
        self._roster = Roster(redis, settings.lease_s)
        self._desired = DesiredFleet(redis, settings)

    def problem(self) -> str | None:
        wanted = self._desired.read().size
        if wanted == 0 or self._roster.ready(within_s=SILENT_S):
            return None
        return f"no worker is ready{'' if wanted is None else f', {wanted} are wanted'}"


def make_probes(settings: Settings, redis: Client, api_url: str) -> Mapping[Target, Probe]:
    """`redis` should give up within `TIMEOUT_S`."""
    return {
        "redis": RedisProbe(redis),
        "api-live": ApiProbe(api_url, "/healthz"),
        "api-ready": ApiProbe(api_url, "/readyz"),
        "workers": WorkersProbe(redis, settings),
    }
