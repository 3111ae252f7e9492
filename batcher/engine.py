"""The seam between requests and a model: the protocol every engine keeps, and the choice of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from batcher.simulated import SimulatedEngine
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings
from headrace.core.types import Delta, EngineStats, Request, Room


class Engine(Protocol):
    """Runs many requests together. One thread calls it; one request's failure ends it alone."""

    def add(self, request: Request, resume_ids: Sequence[int] = ()) -> None:
        """Takes a request in; `resume_ids` are tokens that an earlier attempt published.

        Generation goes on behind them: they and their text are not reported again, and count
        against `max_tokens`. Never raises for a bad request: its next delta has an `error`.
        """

    def step(self) -> list[Delta]:
        """Advances every running request by at most one token; in the order they were added."""

    def abort(self, request_id: str) -> None:
        """Frees the request's slot at once; no delta follows. Unknown ids are ignored."""

    def room(self) -> Room:
        """What `add` can take now without waiting."""

    def stats(self) -> EngineStats: ...

    def close(self) -> None:
        """Frees the model; running requests are dropped."""

    @property
    def is_idle(self) -> bool:
        """True when `step` has nothing to do."""


def load_engine(settings: Settings, card: ModelCard, folder: Path) -> Engine:
    """The engine that `settings.engine` names, with the model in `folder` loaded.

    Raises `ModelError` for a model that the engine cannot run.
    """
    if settings.engine == "simulated":
        return SimulatedEngine(settings, card)
    from batcher.torch_engine.engine import TorchEngine
    from batcher.torch_engine.model import load_model

    engine = TorchEngine(load_model(settings, folder), settings, card)
    engine.warm_up()
    return engine
