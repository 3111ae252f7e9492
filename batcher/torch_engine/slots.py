"""Slots: whose tokens stand where in the cache, and what is left over from earlier requests.

Decoding rows are kept compact in the slots [0, rows), so that a forward attends to plain views of
the cache. The free slots behind them still hold what they were last used for: a prompt that begins
alike copies that instead of reading it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """`rows` decode, row i in slot i."""

    def __init__(self, memory: Memory, keeps_prefixes: bool) -> None:
        self.rows: list[Generation] = []
        self.last = memory.slots - 1
        self._memory = memory
        self._keeps_prefixes = keeps_prefixes
        self._left: dict[int, Sequence[int]] = {}
        self._is_reading = False

    def match(self, ids: Sequence[int]) -> Match:
        """The slot that holds most of the beginning of `ids`."""
        best = NO_MATCH
        for slot, held, tokens in self._held():
            if held[:LEAST_SHARED] == ids[:LEAST_SHARED]:
                best = max(best, Match(slot, min(tokens, shared_tokens(held, ids))), key=_tokens)
        return best if best.tokens >= LEAST_SHARED else NO_MATCH

    def begin(self, slot: int, match: Match) -> None:
        """Readies a free slot for a prompt that goes on behind `match`."""
        if match.tokens and match.slot == slot:
            del self._left[slot]
            return
        if match.slot in self._left:
            self._keep(match.slot, self._left[match.slot])
        self._make_way(slot, match)
        if match.tokens:
            self._memory.copy(match.slot, slot, match.tokens)

    def pause(self) -> None:
        """The prompt in the last slot is read only in part."""
        self._is_reading = True

    def resume(self, slot: int, tokens: int) -> None:
        """Moves the half-read prompt from the last slot to where it will decode."""
        if slot != self.last:
            self._make_way(slot, NO_MATCH)
            self._memory.copy(self.last, slot, tokens)
            self._memory.release(self.last, 0)
        self._is_reading = False

    def forget(self, slot: int, tokens: int) -> None:
        """Drops a prompt before its end was read: nobody has looked at its numbers yet."""
        if slot == self.last:
            self._is_reading = False
        self._memory.scrub(slot, tokens)

    def remove(self, row: Generation, keep: bool) -> None:
        """Frees the row's slot; the last row moves into it.

        What it held is left over for later prompts where that costs nothing, or `keep` asks for it.
        """
        slot, end = self.rows.index(row), len(self.rows) - 1
        mover = self.rows[end]
        held: Sequence[int] = row.ids[:-1]
        if row.error is not None:
            self._memory.scrub(slot, len(row.ids))
            held = ()
        if slot != end and keep and held and self._keeps_prefixes:
            self._memory.swap(slot, len(held), end, len(mover.ids))
        elif slot != end:
            self._memory.copy(end, slot, len(mover.ids))
            held = ()
        self.rows[slot] = mover
        self.rows.pop()
        self._memory.release(slot, len(mover.ids))
        self._memory.release(end, len(held))
        self._keep(end, held)

    def trim(self, spare: int) -> None:
        """Keeps no more than `spare` tokens of leftovers, and the newest of them."""
        while self._left and sum(len(ids) for ids in self._left.values()) > spare:
            self._memory.release(self._forget_oldest(), 0)

    def _held(self) -> Iterator[tuple[int, Sequence[int], int]]:
        """Slot, ids, and how many of them are in the cache: the newest id of a row is not."""
        if self._keeps_prefixes:
            for slot, row in enumerate(self.rows):
                yield slot, row.ids, len(row.ids) - 1
            for slot, ids in self._left.items():
                yield slot, ids, len(ids)

    def _make_way(self, slot: int, match: Match) -> None:
        """What is left over in the slot replaces what is empty, or older, elsewhere."""
        is_oldest = next(iter(self._left), slot) == slot
        held = self._left.pop(slot, ())
        target = self._empty(slot)
        if held and target is None and not is_oldest and next(iter(self._left)) != match.slot:
            target = self._forget_oldest()
        if held and target is not None:
            self._memory.copy(slot, target, len(held))
            self._keep(target, held)
        self._memory.release(slot, 0)

    def _empty(self, slot: int) -> int | None:
        """A free slot above this one that holds nothing."""
        top = self.last - 1 if self._is_reading else self.last
        return next((free for free in range(top, slot, -1) if free not in self._left), None)

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
