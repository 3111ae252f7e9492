"""What the scaler knows of queue and fleet at one moment, or that it knows nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headrace.core.step_sums import StepSums

Phase = Literal["starting", "ready", "draining", "drained"]
"""A worker takes no more jobs while it drains, and runs none once it is drained."""


@dataclass(frozen=True, slots=True)
class Load:
    """Jobs, and the tokens that they count for (`Request.charged_tokens`)."""

    jobs: int = 0
    tokens: float = 0.0


@dataclass(frozen=True, slots=True)
class Member:
    """A worker of the fleet; the one with the highest `number` (from 1) goes first."""

    number: int
    phase: Phase
    age_s: float
    running: int = 0


@dataclass(frozen=True, slots=True)
class Readings:
    """All of one moment `at`, Redis TIME in seconds, of the server run `run_id`.

    `arrived`, `completed`, `produced` (output tokens of `completed`) and `steps` are totals since
    counting began: they never fall within a run. `running` counts what is still to be produced.
    `p95_s` is that of the latencies of the last minute, None where nothing ended. `cold_starts_s`
    are the last times from spawn to ready, `deaths` the moments at which workers of the present
    configuration died. `canaries` of what waits or runs are the monitor's own.
    """

    at: float
    run_id: str
    waiting: Load
    running: Load
    oldest_wait_s: float
    arrived: Load
    completed: Load
    steps: StepSums
    p95_s: float | None
    members: tuple[Member, ...]
    cold_starts_s: tuple[float, ...] = ()
    deaths: tuple[float, ...] = ()
    produced: float = 0.0
    canaries: int = 0


@dataclass(frozen=True, slots=True)
class Unknown:
    """No readings, and why: the server is away, has lost its data, or contradicts itself."""

    reason: str


Reading = Readings | Unknown
