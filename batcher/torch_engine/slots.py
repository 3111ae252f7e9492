"""Slots: whose tokens stand where in the cache, and what is left over from earlier requests.

Free slots still hold what they were last used for: a prompt that begins alike copies that instead
of reading it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from batcher.generation import Generation

LEAST_SHARED = 16
"""Copying fewer tokens than these takes about as long as reading them."""


class Memory(Protocol):
    """What is asked of the cache; tokens count from the beginning of a slot."""

    slots: int

    def copy(self, source: int, target: int, tokens: int) -> None: ...

    def swap(self, one: int, tokens_of_one: int, other: int, tokens_of_other: int) -> None: ...

    def scrub(self, slot: int, tokens: int) -> None: ...

    def release(self, slot: int, tokens: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Match:
    """The first `tokens` tokens of a prompt stand in `slot`."""

    slot: int = 0
    tokens: int = 0


NO_MATCH = Match()


class Slots:
    """Prompts read in one step stand in the lowest slots, longer ones in the highest, both dense.

    So a forward attends to plain views of the cache, and short rows do not pay for long ones.
    """

    def __init__(self, memory: Memory, keeps_prefixes: bool) -> None:
        self._memory = memory
        self._keeps_prefixes = keeps_prefixes
        self._low: list[Generation] = []
        self._high: list[Generation] = []
        self._reading: Generation | None = None
        self._left: dict[int, Sequence[int]] = {}
        self._rows: Mapping[Generation, int] | None = None

    @property
    def taken(self) -> dict[Generation, int]:
        """The slot of each that has one, in slot order."""
        in_order = [*self._low, *reversed(self._high)]
        free = self._memory.slots - len(in_order)
        return {
            generation: place if place < len(self._low) else place + free
            for place, generation in enumerate(in_order)
        }

    @property
    def rows(self) -> Mapping[Generation, int]:
        """Those that decode, and their slots: one object for as long as they are the same."""
        if self._rows is None:
            rows = self.taken
            if self._reading is not None:
                del rows[self._reading]
            self._rows = rows
        return self._rows

    @property
    def is_full(self) -> bool:
        return len(self._low) + len(self._high) == self._memory.slots

    def __contains__(self, generation: Generation) -> bool:
        return generation in self._low or generation in self._high

    def slot_of(self, generation: Generation) -> int:
        """Raises `ValueError` where it has none."""
        if generation in self._low:
            return self._low.index(generation)
        return self._memory.slots - 1 - self._high.index(generation)

    def match(self, ids: Sequence[int]) -> Match:
        """The slot that holds most of the beginning of `ids`."""
        best = NO_MATCH
        for slot, held, tokens in self._held():
            if held[:LEAST_SHARED] == ids[:LEAST_SHARED]:
                best = max(best, Match(slot, min(tokens, shared_tokens(held, ids))), key=_tokens)
        return best if best.tokens >= LEAST_SHARED else NO_MATCH

    def begin(self, generation: Generation, match: Match, is_whole: bool) -> int:
        """A slot for a prompt that goes on behind `match`; this step reads all of it, or a part."""
        zone = self._low if is_whole else self._high
        zone.append(generation)
        self._reading = self._reading if is_whole else generation
        self._rows = None
        slot = self.slot_of(generation)
        if match.tokens and match.slot == slot:
            del self._left[slot]
            return slot
        if match.slot in self._left:
            self._keep(match.slot, self._left[match.slot])
        self._make_way(slot, match)
        if match.tokens:
            self._memory.copy(match.slot, slot, match.tokens)
        return slot

    def end_reading(self, generation: Generation) -> None:
        """The prompt has been read to its end: it decodes from here on, where it is."""
        if generation is self._reading:
            self._reading = self._rows = None

    def remove(self, generation: Generation, keep: bool) -> None:
        """Frees the slot; the innermost row of its zone moves into it.

        What it held is left over for later prompts where that costs nothing, or `keep` asks for it.
        """
        zone = self._low if generation in self._low else self._high
        mover = zone[-1]
        slot, end = self.slot_of(generation), self.slot_of(mover)
        held: Sequence[int] = generation.ids[:-1]
        if generation.error is not None or generation is self._reading:
            self._memory.scrub(slot, len(generation.ids))
            held = ()
        if mover is not generation and keep and held and self._keeps_prefixes:
            self._memory.swap(slot, len(held), end, len(mover.ids))
        elif mover is not generation:
            self._memory.copy(end, slot, len(mover.ids))
            held = ()
        zone[zone.index(generation)] = mover
        zone.pop()
        self._rows = None
        self.end_reading(generation)
        if mover is not generation:
            self._memory.release(slot, len(mover.ids))
        self._memory.release(end, len(held))
        self._keep(end, held)

    def trim(self, spare: int) -> None:
        """Keeps no more than `spare` tokens of leftovers, and the newest of them."""
        while self._left and sum(len(ids) for ids in self._left.values()) > spare:
            self._memory.release(self._forget_oldest(), 0)

    def _held(self) -> Iterator[tuple[int, Sequence[int], int]]:
        """Slot, ids, and how many of them are in the cache: the newest id of a row is not.

        Nobody has looked yet at the numbers of a prompt that is being read.
        """
        if not self._keeps_prefixes:
            return
        for row, slot in self.rows.items():
            if row.read_tokens:
                yield slot, row.ids, len(row.ids) - 1
        for slot, ids in self._left.items():
            yield slot, ids, len(ids)

    def _make_way(self, slot: int, match: Match) -> None:
        """What is left over in the slot replaces what is empty, or older, elsewhere."""
        is_oldest = next(iter(self._left), slot) == slot
        held = self._left.pop(slot, ())
        target = self._empty()
        if held and target is None and not is_oldest and next(iter(self._left)) != match.slot:
            target = self._forget_oldest()
        if held and target is not None:
            self._memory.copy(slot, target, len(held))
            self._keep(target, held)
        self._memory.release(slot, 0)

    def _empty(self) -> int | None:
        """A free slot that holds nothing."""
        free = range(len(self._low), self._memory.slots - len(self._high))
        return next((slot for slot in free if slot not in self._left), None)

    def _keep(self, slot: int, ids: Sequence[int]) -> None:
        self._left.pop(slot, None)
        if self._keeps_prefixes and len(ids) >= LEAST_SHARED:
            self._left[slot] = ids

    def _forget_oldest(self) -> int:
        slot = next(iter(self._left))
        del self._left[slot]
        return slot


def shared_tokens(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _tokens(match: Match) -> int:
    return match.tokens
