"""Load tests from within a test."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from headrace.loadtest.level import Level
from headrace.loadtest.load_test import LoadTest
from headrace.loadtest.loads import ClosedLoad, Limits, Load, OpenLoad
from headrace.loadtest.plan import Plan
from headrace.loadtest.progress import Progress
from headrace.loadtest.ramp import Ramp
from headrace.loadtest.record import Record
from headrace.loadtest.result import Result
from headrace.loadtest.slo import Slo
from headrace.loadtest.target import Address


class KeepsLevels(Progress):
    """Shows nothing; keeps the levels for a test that looks at single requests."""

    def __init__(self) -> None:
        self.levels: list[Level] = []

    def showing(self, level: Level) -> Any:
        self.levels.append(level)
        return nullcontext()

    def finished(self, result: Result) -> None: ...


def closed(
    users: int, prompt_tokens: int = 32, max_tokens: int = 4, ramp: Ramp | None = None
) -> ClosedLoad:
    return ClosedLoad(users, prompt_tokens, max_tokens, ramp)


def constant(rate: float, max_tokens: int = 4) -> OpenLoad:
    return OpenLoad(rate, "constant", 1.0, 0, 32, max_tokens)


def poisson(rate: float, max_tokens: int = 4) -> OpenLoad:
    return OpenLoad(rate, "poisson", 1.0, 0, 32, max_tokens)


def a_plan(url: str, *loads: Load, **changes: Any) -> Plan:
    fields: dict[str, Any] = {
        "address": Address.parse(url),
        "loads": loads,
        "limits": Limits(warmup_s=0.0, duration_s=None, requests=20),
        "timeout_s": 30.0,
        "slo": Slo(1.0, 0.15),
    }
    return Plan(**fields | changes)


def load(url: str, *loads: Load, **changes: Any) -> list[Result]:
    return load_with_records(url, *loads, **changes)[0]


def load_with_records(
    url: str, *loads: Load, **changes: Any
) -> tuple[list[Result], list[Sequence[Record]]]:
    """The results, and every request of each level in the order of sending."""
    kept = KeepsLevels()
    test = LoadTest(a_plan(url, *loads, **changes), kept)
    asyncio.run(test.run())
    return test.results, [level.records for level in kept.levels]
