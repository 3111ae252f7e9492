"""The doors of an engine to its worker, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from batcher.engine import Engine
from headrace.core.errors import EngineError
from headrace.core.types import Delta, EngineStats, Feature, Request, Room


class EnginePort(Engine, Protocol):
    """An engine that may run beside the worker's loop, and that may die without it.

    `step` of one that runs beside it returns what all steps since the last call have brought.
    Every method but `restart` and `close` may raise `EngineDied`.
    """

    @property
    def name(self) -> str:
        """The engine's class, as people and `/v1/models` read it."""

    def approach(self) -> None:
        """Waits until shortly before what is added takes effect: a later claim brings more."""

    def check(self) -> None:
        """Raises `EngineDied` where the engine is gone; does nothing else."""

    def restart(self, is_over: Callable[[], bool]) -> bool:
        """Loads an engine that has died anew; False where `is_over` became true meanwhile.

        Raises `EngineError` where that fails and may succeed later, `ModelError` where it cannot.
        """


class LocalEngine:
    """An engine in the worker's own process: its step holds up all else, and both die together."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def name(self) -> str:
        return type(self._engine).__name__

    @property
    def features(self) -> frozenset[Feature]:
        return self._engine.features

    @property
    def is_idle(self) -> bool:
        return self._engine.is_idle

    def add(self, request: Request, resume_ids: Sequence[int] = ()) -> None:
        self._engine.add(request, resume_ids)

    def step(self) -> list[Delta]:
        return self._engine.step()

    def abort(self, request_id: str) -> None:
        self._engine.abort(request_id)

    def room(self) -> Room:
        return self._engine.room()

    def stats(self) -> EngineStats:
        return self._engine.stats()

    def close(self) -> None:
        self._engine.close()

    def approach(self) -> None:
        """The engine stands still until its next step."""

    def check(self) -> None:
        """It is there as long as the worker is."""

    def restart(self, is_over: Callable[[], bool]) -> bool:
        raise EngineError("an engine in the worker's own process cannot be restarted")
