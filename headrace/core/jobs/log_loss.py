"""Hands the log lines that a process has lost to the fleet's counts."""

from __future__ import annotations

import secrets

from redis.exceptions import RedisError

from headrace.core.connection import Client
from headrace.core.jobs.counters import Counters
from headrace.core.settings import Settings
from headrace.core.standard_streams import lost_lines

FIELD = "log_lines_lost"


class LogLoss:
    """`service` is the kind of the process: `worker`, `monitor`, `scaler`, `supervisor`."""

    def __init__(self, redis: Client, settings: Settings, service: str) -> None:
        self._counters = Counters(redis, settings)
        self._process = f"{service}-log-{secrets.token_hex(6)}"
        self._field = f"{FIELD}:{service}"
        self._handed_in = 0

    def hand_in(self) -> None:
        """Adds what is new since the last call. Without Redis it is added by a later call."""
        lost = lost_lines()
        if lost == self._handed_in:
            return
        try:
            self._counters.add(self._process, {self._field: lost})
        except RedisError:
            return
        self._handed_in = lost
