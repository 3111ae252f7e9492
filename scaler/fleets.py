"""The fleet that the settings name."""

from __future__ import annotations

from headrace.core.connection import Client
from headrace.core.leadership import Leadership
from headrace.core.settings import Settings
from scaler.fleet import Fleet
from scaler.kubernetes import KubernetesFleet
from scaler.processes import ProcessFleet
from scaler.stateful_set import find_stateful_set


def make_fleet(settings: Settings, redis: Client, leadership: Leadership) -> Fleet:
    if settings.scaler_fleet == "kubernetes":
        return KubernetesFleet(redis, leadership, settings, find_stateful_set(settings))
    return ProcessFleet(redis, leadership)
