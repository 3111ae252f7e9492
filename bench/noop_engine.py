"""An engine that does nothing: each request ends at its first step, with one token."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.core.types import Delta, EngineStats, Feature, FinishReason, Request, Room

CONTEXT_TOKENS = 1024
TOKEN_ID, TEXT = 1, "x"


class NoopEngine:
    """Keeps the protocol of `batcher.engine.Engine` and counts what passed through."""

    features: frozenset[Feature] = frozenset()

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._ids: dict[str, None] = {}
        self.steps = 0
        self.finished = 0

    def add(self, request: Request, resume_ids: Sequence[int] = ()) -> None:
        self._ids[request.id] = None

    def step(self) -> list[Delta]:
        deltas = [
            Delta(request_id, (TOKEN_ID,), TEXT, finish_reason=FinishReason.LENGTH)
            for request_id in self._ids
        ]
        self._ids.clear()
        self.steps += 1
        self.finished += len(deltas)
        return deltas

    def abort(self, request_id: str) -> None:
        self._ids.pop(request_id, None)

    def room(self) -> Room:
        slots = self._slots - len(self._ids)
        return Room(slots, slots * CONTEXT_TOKENS)

    def stats(self) -> EngineStats:
        return EngineStats(
            running=len(self._ids),
            slots=self._slots,
            steps=self.steps,
            rows=self.finished,
            output_tokens=self.finished,
        )

    def close(self) -> None:
        self._ids.clear()

    @property
    def is_idle(self) -> bool:
        return not self._ids
