"""The first request of an engine, its own: does the model run here at all?"""

from __future__ import annotations

from typing import Protocol

from headrace.core.errors import EngineError, ModelError
from headrace.core.model_card import ModelCard
from headrace.core.types import Delta, Request, Sampling


class Runner(Protocol):
    """What is asked of an engine."""

    def add(self, request: Request) -> None: ...

    def step(self) -> list[Delta]: ...

    @property
    def is_idle(self) -> bool: ...


def run_one(engine: Runner, card: ModelCard) -> None:
    """Has two tokens made. Raises `ModelError` where that fails."""
    rules = Sampling(max_tokens=2, temperature=0.0)
    engine.add(Request("warm-up", card.name, card.hash, (0,), rules))
    error: object = None
    try:
        while not engine.is_idle:
            for delta in engine.step():
                error = delta.error
    except (EngineError, TypeError, ValueError, AttributeError) as failure:
        error = failure
    if error:
        raise ModelError(f"the model {card.name} does not run: {error}")
