"""The fleet that the settings name."""

from __future__ import annotations

from headrace.core.clock import SystemClock
from headrace.core.connection import Client
from headrace.core.leadership import Leadership
from headrace.core.settings import Settings
from scaler.compose import ComposeFleet
from scaler.compose_crew import ComposeCrew
from scaler.compose_project import ComposeProject
from scaler.docker import DockerCommands
from scaler.fleet import Fleet
from scaler.kubernetes import KubernetesFleet
from scaler.processes import ProcessFleet
from scaler.stateful_set import find_stateful_set


def make_fleet(settings: Settings, redis: Client, leadership: Leadership) -> Fleet:
    if settings.scaler_fleet == "compose":
        return _compose(settings, redis, leadership)
    if settings.scaler_fleet == "kubernetes":
        return KubernetesFleet(redis, leadership, settings, find_stateful_set(settings))
    return ProcessFleet(redis, leadership)


def _compose(settings: Settings, redis: Client, leadership: Leadership) -> Fleet:
    project = ComposeProject(DockerCommands(), settings.scaler_compose_project)
    crew = ComposeCrew(project, redis, leadership, settings, SystemClock())
    crew.start()
    return ComposeFleet(redis, leadership, crew)
