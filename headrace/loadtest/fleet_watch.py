"""What a Headrace says of its queue and workers while a level runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from headrace.core.errors import Unavailable
from headrace.core.step_sums import NAMES, StepSums
from headrace.loadtest.target import Target

EVERY_S = 1.0
PATH = "/v1/fleet"

NOT_SHOWN = "queue and workers are not shown: the server has no /v1/fleet, or not for this key"


@dataclass(frozen=True, slots=True)
class Moment:
    """`at` is of the event loop's clock; `workers` are those that beat, ready or draining."""

    at: float
    waiting: int
    running: int
    workers: int
    starting: int


@dataclass(slots=True)
class Watched:
    """Of one level; `steps` are those that were taken meanwhile, None where nobody tells."""

    moments: list[Moment] = field(default_factory=list)
    steps: StepSums | None = None
    slots: int | None = None
    engine: str | None = None
    cold_starts_s: tuple[float, ...] = ()


class FleetWatch:
    """Asks once a second; a server that does not answer at the first time is not asked again."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.is_shown: bool | None = None

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Watched]:
        watched = Watched()
        before = await self._look(watched)
        task = asyncio.create_task(self._follow(watched))
        try:
            yield watched
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        after = await self._look(watched)
        if before is not None and after is not None:
            watched.steps = after.minus(before)

    async def _follow(self, watched: Watched) -> None:
        while self.is_shown:
            await asyncio.sleep(EVERY_S)
            await self._look(watched)

    async def _look(self, watched: Watched) -> StepSums | None:
        """The steps so far; None where they are not told."""
        if self.is_shown is False:
            return None
        try:
            fleet = await self._target.get(PATH)
            moment, steps = _moment(fleet), _steps(fleet["steps"])
        except (Unavailable, LookupError, TypeError):
            self.is_shown = bool(self.is_shown)  # one that failed once may come back
            return None
        self.is_shown = True
        watched.moments.append(moment)
        watched.cold_starts_s = tuple(fleet["cold_starts_s"])
        for worker in fleet["workers"]:
            watched.slots, watched.engine = worker["slots"], worker["engine"]
        return steps


def _moment(fleet: Mapping[str, Any]) -> Moment:
    queue = fleet["queue"]
    return Moment(
        at=asyncio.get_running_loop().time(),
        waiting=queue["waiting"],
        running=queue["running"],
        workers=len(fleet["workers"]),
        starting=fleet["starting"],
    )


def _steps(sums: Mapping[str, float]) -> StepSums:
    return StepSums(**{name: sums[name] for name in NAMES})  # type: ignore[arg-type]
