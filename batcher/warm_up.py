"""The first requests of an engine, its own: does the model run here at all?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from headrace.core.errors import EngineError, ModelError
from headrace.core.model_card import ModelCard
from headrace.core.types import Delta, Request, Sampling, TokenLogprobs

_TOKENS = 2


class Runner(Protocol):
    """What is asked of an engine."""

    def add(self, request: Request) -> None: ...

    def step(self) -> list[Delta]: ...

    @property
    def is_idle(self) -> bool: ...


def run_one(engine: Runner, card: ModelCard) -> None:
    """Has two tokens made, or as many as the context holds. Raises `ModelError` if that fails."""
    rules = Sampling(max_tokens=min(_TOKENS, card.context_tokens - 1), temperature=0.0)
    run(engine, [Request("warm-up", card.name, card.hash, (0,), rules)])


def run(engine: Runner, requests: Sequence[Request]) -> dict[str, list[TokenLogprobs]]:
    """Runs the requests of one model together, to their ends.

    Returns the tokens of each by its id, where it asked for logprobs. Raises `ModelError` where one
    of them fails.
    """
    found: dict[str, list[TokenLogprobs]] = {request.id: [] for request in requests}
    try:
        for request in requests:
            engine.add(request)
        while not engine.is_idle:
            for delta in engine.step():
                if delta.error:
                    raise EngineError(delta.error)
                found[delta.request_id] += delta.logprobs or ()
    except (EngineError, TypeError, ValueError, AttributeError) as failure:
        raise ModelError(f"the model {requests[0].model} does not run: {failure}") from failure
    return found
