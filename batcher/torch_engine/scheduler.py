"""Which rows a step advances, and which cache slot is whose.

Decoding rows are kept compact in the slots [0, rows), so that a forward attends to plain views of
the cache. The one prompt that is only partly read waits in the last slot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from batcher.generation import Generation


class Slots(Protocol):
    """What the scheduler asks of the cache."""

    def move(self, source: int, target: int, length: int) -> None: ...

    def scrub(self, slot: int) -> None: ...


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
    """One step: `chunks` to prefill together, and the rows that decode, in slot order.

    Only the first chunk may go on behind an earlier one, only the last may leave ids over.
    """

    chunks: Sequence[Chunk]
    decoding: Sequence[Generation]

    @property
    def rows(self) -> list[Generation]:
        """Those that get an id from this step, in slot order: decoding, then newly read."""
        return [*self.decoding, *(chunk.generation for chunk in self.chunks if chunk.is_last)]


class Scheduler:
    """First come, first served; a step reads at most `prefill_tokens` ids of prompts."""

    def __init__(self, slots: int, prefill_tokens: int, cache: Slots) -> None:
        self._slots = slots
        self._prefill_tokens = prefill_tokens
        self._cache = cache
        self._waiting: deque[Generation] = deque()
        self._decoding: list[Generation] = []
        self._alone: set[str] = set()

    def add(self, generation: Generation) -> None:
        self._waiting.append(generation)

    def plan(self) -> Plan:
        chunks: list[Chunk] = []
        budget = self._prefill_tokens
        for generation in self._waiting:
            if budget == 0 or len(self._decoding) + len(chunks) == self._slots:
                break
            if chunks and not self._may_join(generation, chunks[-1].generation, budget):
                break
            chunks.append(self._chunk(generation, len(self._decoding) + len(chunks), budget))
            budget -= len(chunks[-1].ids)
        return Plan(chunks, tuple(self._decoding))

    def prefilled(self, plan: Plan) -> None:
        """The chunks of `plan` are in the cache."""
        for chunk in plan.chunks:
            chunk.generation.cached_tokens = chunk.stop
            if chunk.is_last:
                self._waiting.popleft()
                self._alone.discard(chunk.generation.request.id)
                self._decoding.append(chunk.generation)

    def separate(self, plan: Plan) -> None:
        """Has the prompts of `plan` read again, each by itself, to find the one that fails."""
        for chunk in plan.chunks:
            chunk.generation.cached_tokens = 0
            self._alone.add(chunk.generation.request.id)
            self._cache.scrub(chunk.slot)

    def remove(self, generation: Generation) -> None:
        """Frees the generation's slot; the last decoding row moves into it."""
        self._alone.discard(generation.request.id)
        if generation in self._waiting:
            self._waiting.remove(generation)
            if generation.cached_tokens:
                self._cache.scrub(self._slots - 1)
            return
        slot = self._decoding.index(generation)
        last = len(self._decoding) - 1
        if generation.error is not None:
            self._cache.scrub(slot)
        if slot != last:
            mover = self._decoding[last]
            self._cache.move(last, slot, len(mover.ids))
            self._decoding[slot] = mover
        self._decoding.pop()

    def _may_join(self, generation: Generation, mate: Generation, budget: int) -> bool:
        """A prompt that one step can read is not cut in two to fill what is left of this one."""
        if not self._alone.isdisjoint({generation.request.id, mate.request.id}):
            return False
        return len(generation.ids) <= budget or len(generation.ids) > self._prefill_tokens

    def _chunk(self, generation: Generation, slot: int, budget: int) -> Chunk:
        start = generation.cached_tokens
        ids = generation.ids[start : start + budget]
        is_last = start + len(ids) == len(generation.ids)
        waiting_slot = self._slots - 1
        if is_last and start and slot != waiting_slot:
            self._cache.move(waiting_slot, slot, start)
        return Chunk(generation, slot if is_last else waiting_slot, start, ids, is_last)
