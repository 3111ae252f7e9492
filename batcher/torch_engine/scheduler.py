"""Which rows a step advances, and which prompts it reads."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from batcher.generation import Generation
from batcher.torch_engine.slots import LEAST_SHARED, NO_MATCH, Match, Slots, shared_tokens


@dataclass(frozen=True, slots=True)
class Chunk:
    """The ids of one generation from place `start` on, to be read into `slot`."""

    generation: Generation
    slot: int
    start: int
    ids: Sequence[int]
    is_last: bool

    @property
    def stop(self) -> int:
        return self.start + len(self.ids)


@dataclass(frozen=True, slots=True)
class Plan:
    """One step: `chunks` of prompts to read, and the rows that decode, in slot order.

    Only the first chunk may go on where an earlier step stopped, only the last may leave ids over.
    """

    chunks: Sequence[Chunk]
    decoding: Sequence[Generation]

    @property
    def rows(self) -> list[Generation]:
        """Those that get an id from this step, in slot order: decoding, then newly read."""
        return [*self.decoding, *(chunk.generation for chunk in self.chunks if chunk.is_last)]

    @property
    def is_empty(self) -> bool:
        return not self.chunks and not self.decoding


class Scheduler:
    """First come, first served; a step reads at most `prefill_tokens` ids of prompts.

    No more prompts are begun than `capacity` tokens of cache hold to their very end.
    """

    def __init__(self, slots: Slots, prefill_tokens: int, capacity: int) -> None:
        self._slots = slots
        self._prefill_tokens = prefill_tokens
        self._capacity = capacity
        self._waiting: deque[Generation] = deque()
        self._half_read: Generation | None = None

    def add(self, generation: Generation) -> None:
        self._waiting.append(generation)

    def plan(self) -> Plan:
        rows = self._slots.rows
        chunks: list[Chunk] = []
        budget = self._prefill_tokens
        begun = sum(row.request.cost_tokens for row in rows)
        for generation in self._waiting:
            begun += generation.request.cost_tokens
            if len(rows) + len(chunks) > self._slots.last or budget == 0 or begun > self._capacity:
                break
            match = self._match(generation)
            size = len(generation.ids) - generation.read_tokens - match.tokens
            if chunks and not (self._fits(size, budget) and _is_new(generation, match, chunks)):
                break
            chunks.append(self._chunk(generation, len(rows) + len(chunks), match, budget))
            budget -= len(chunks[-1].ids)
        if chunks:
            self._slots.trim(self._capacity - begun)
        return Plan(chunks, tuple(rows))

    def prefilled(self, plan: Plan) -> None:
        """The chunks of `plan` are in the cache."""
        for chunk in plan.chunks:
            chunk.generation.read_tokens = chunk.stop
            if chunk.is_last:
                self._waiting.popleft()
                self._slots.rows.append(chunk.generation)

    def remove(self, generation: Generation) -> None:
        """Frees what the generation has of the cache."""
        if generation not in self._waiting:
            self._slots.remove(generation, keep=not self._waiting)
            return
        self._waiting.remove(generation)
        if generation is self._half_read:
            self._half_read = None
            self._slots.forget(self._slots.last, generation.read_tokens)

    def abandon(self, plan: Plan) -> None:
        """Forgets all of a plan whose forward failed."""
        for chunk in plan.chunks:
            self._waiting.remove(chunk.generation)
            self._slots.forget(chunk.slot, chunk.stop)
        self._half_read = None
        for row in reversed(plan.decoding):
            self._slots.remove(row, keep=False)

    def _match(self, generation: Generation) -> Match:
        """All but the last id of a prompt may be reused: something must be left to read."""
        return NO_MATCH if generation.read_tokens else self._slots.match(generation.ids[:-1])

    def _fits(self, size: int, budget: int) -> bool:
        """A prompt that one step can read is not cut in two to fill what is left of this one."""
        return size <= budget or size > self._prefill_tokens

    def _chunk(self, generation: Generation, slot: int, match: Match, budget: int) -> Chunk:
        start = generation.read_tokens or match.tokens
        ids = generation.ids[start : start + budget]
        is_last = start + len(ids) == len(generation.ids)
        target = slot if is_last else self._slots.last
        if generation is not self._half_read:
            self._slots.begin(target, match)
            generation.cached_tokens = min(match.tokens, len(generation.request.prompt_ids))
        elif is_last:
            self._slots.resume(slot, start)
        self._half_read = None if is_last else generation
        if not is_last:
            self._slots.pause()
        return Chunk(generation, target, start, ids, is_last)


def _is_new(generation: Generation, match: Match, chunks: Sequence[Chunk]) -> bool:
    """False where the next step can copy most of the prompt from one that this step reads."""
    left = len(generation.ids) - match.tokens
    alike = max(
        shared_tokens(generation.ids, chunk.generation.ids[: chunk.stop]) for chunk in chunks
    )
    gain = alike - match.tokens
    return gain < LEAST_SHARED or 2 * gain < left
