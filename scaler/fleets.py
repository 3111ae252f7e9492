"""The fleet that the settings name."""

from __future__ import annotations

from headrace.core.connection import Client
from headrace.core.leadership import Leadership
from headrace.core.settings import Settings
from scaler.fleet import Fleet
from scaler.processes import ProcessFleet


def make_fleet(settings: Settings, redis: Client, leadership: Leadership) -> Fleet:
    return ProcessFleet(redis, leadership)
