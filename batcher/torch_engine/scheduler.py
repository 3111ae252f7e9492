"""Which rows a step advances, and which prompts it reads."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batcher.generation import Generation
from batcher.torch_engine.slots import LEAST_SHARED, NO_MATCH, Match, Slots, shared_tokens

LEAST_SHARE = 0.22
"""Of the prompt tokens that a step may read, beside rows that decode: they wait for it."""


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
    """One step: `chunks` of prompts to read, and the slots of the rows that decode, in order.

    Only the first chunk may go on where an earlier step stopped, only the last may leave ids over.
    """

    chunks: Sequence[Chunk]
    decoding: Mapping[Generation, int]

    @property
    def rows(self) -> list[Generation]:
        """Those that get an id from this step: decoding, then newly read."""
        return [*self.decoding, *(chunk.generation for chunk in self.chunks if chunk.is_last)]

    @property
    def is_empty(self) -> bool:
        return not self.chunks and not self.decoding


class Scheduler:
    """First come, first served; a step reads at most `prefill_tokens` ids of prompts.

    Beside rows that decode it reads fewer, unless as many prompts wait.

    No more prompts are begun than `capacity` tokens of cache will probably hold to their end.
    """

    def __init__(self, slots: Slots, prefill_tokens: int, capacity: int) -> None:
        self._slots = slots
        self._prefill_tokens = prefill_tokens
        self._capacity = capacity
        self._waiting: deque[Generation] = deque()

    def add(self, generation: Generation) -> None:
        self._waiting.append(generation)

    def plan(self) -> Plan:
        rows = self._slots.rows
        most = budget = self._budget(len(rows))
        chunks: list[Chunk] = []
        for generation in self._waiting:
            if budget == 0 or not self._has_room(generation):
                break
            match = self._match(generation)
            size = len(generation.ids) - generation.read_tokens - match.tokens
            is_cut = budget < size <= most  # though one step could read all of it
            if chunks and (is_cut or not _is_new(generation, match, chunks)):
                break
            chunks.append(self._chunk(generation, match, budget))
            budget -= len(chunks[-1].ids)
        if chunks:
            self._slots.trim(self._capacity - self._begun_tokens())
        return Plan(chunks, rows)

    def prefilled(self, plan: Plan) -> None:
        """The chunks of `plan` are in the cache."""
        for chunk in plan.chunks:
            chunk.generation.read_tokens = chunk.stop
            if chunk.is_last:
                self._waiting.popleft()
                self._slots.end_reading(chunk.generation)

    def remove(self, generation: Generation) -> None:
        """Frees what the generation has of the cache."""
        if generation in self._waiting:
            self._waiting.remove(generation)
        if generation in self._slots:
            self._slots.remove(generation, keep=not self._waiting)

    def _budget(self, rows: int) -> int:
        """Ids of prompts that a step may read, so that whoever waits for it is outnumbered."""
        share = min(1.0, max(LEAST_SHARE, len(self._waiting) / max(1, rows)))
        return max(1, int(self._prefill_tokens * share))

    def _match(self, generation: Generation) -> Match:
        """All but the last id of a prompt may be reused: something must be left to read."""
        return NO_MATCH if generation.read_tokens else self._slots.match(generation.ids[:-1])

    def _has_room(self, generation: Generation) -> bool:
        if generation.read_tokens:
            return True
        kept_tokens = self._begun_tokens() + generation.kept_tokens
        return not self._slots.is_full and kept_tokens <= self._capacity

    def _begun_tokens(self) -> int:
        return sum(generation.kept_tokens for generation in self._slots.taken)

    def _chunk(self, generation: Generation, match: Match, budget: int) -> Chunk:
        start = generation.read_tokens or match.tokens
        ids = generation.ids[start : start + budget]
        is_last = start + len(ids) == len(generation.ids)
        if generation.read_tokens:
            slot = self._slots.slot_of(generation)
        else:
            slot = self._slots.begin(generation, match, is_whole=is_last)
            generation.cached_tokens = min(match.tokens, len(generation.request.prompt_ids))
        return Chunk(generation, slot, start, ids, is_last)


def _is_new(generation: Generation, match: Match, chunks: Sequence[Chunk]) -> bool:
    """False where the next step can copy most of the prompt from one that this step reads."""
    left = len(generation.ids) - match.tokens
    alike = max(
        shared_tokens(generation.ids, chunk.generation.ids[: chunk.stop]) for chunk in chunks
    )
    gain = alike - match.tokens
    return gain < LEAST_SHARED or 2 * gain < left
