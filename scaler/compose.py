"""The workers of one Compose project: its containers follow what stands in Redis."""

from __future__ import annotations

from headrace.core.connection import Client
from headrace.core.leadership import Leadership
from scaler.compose_crew import ComposeCrew
from scaler.processes import ProcessFleet


class ComposeFleet(ProcessFleet):
    """As the processes of one machine, but numbered as their containers are. See `Fleet`.

    Raises `Unavailable` where Docker has not answered for long.
    """

    def __init__(self, redis: Client, leadership: Leadership, crew: ComposeCrew) -> None:
        super().__init__(redis, leadership)
        self._crew = crew

    def number_of(self, worker: str) -> int | None:
        return self._crew.number_of(worker)
