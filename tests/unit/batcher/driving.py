"""What the engine tests share: requests in few words, and engines run until they are idle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from batcher.engine import Engine
from headrace.core.types import Delta, FinishReason, Request, Sampling, TokenLogprobs

MakeEngine = Callable[..., Engine]
"""Makes an engine on a tiny model, of a card and of settings where they are named."""


@dataclass
class Output:
    """All that the deltas of one request said."""

    ids: list[int] = field(default_factory=list)
    text: str = ""
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    error: str | None = None

    def absorb(self, delta: Delta) -> None:
        assert not self.is_over, "a delta came behind the last one"
        self.ids += delta.token_ids
        self.text += delta.text
        self.logprobs += delta.logprobs or ()
        self.finish_reason = delta.finish_reason
        self.error = delta.error

    @property
    def is_over(self) -> bool:
        return self.finish_reason is not None or self.error is not None


def a_request(
    request_id: str, prompt_ids: Iterable[int], max_tokens: int = 12, **sampling: Any
) -> Request:
    """Greedy unless told otherwise."""
    rules = Sampling(max_tokens, **{"temperature": 0.0, **sampling})
    return Request(request_id, "tiny", "card", tuple(prompt_ids), rules)


def drain(engine: Engine, outputs: dict[str, Output] | None = None) -> dict[str, Output]:
    """Steps until nothing is left to do."""
    outputs = {} if outputs is None else outputs
    for _ in range(10_000):
        if engine.is_idle:
            return outputs
        take(engine.step(), outputs)
    raise AssertionError("the engine never became idle")


def take(deltas: Sequence[Delta], outputs: dict[str, Output]) -> None:
    for delta in deltas:
        outputs.setdefault(delta.request_id, Output()).absorb(delta)


def run_alone(engine: Engine, request: Request, resume_ids: Sequence[int] = ()) -> Output:
    engine.add(request, resume_ids)
    return drain(engine)[request.id]
