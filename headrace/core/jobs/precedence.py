"""Which part of a worker's room a claim may give to which priority."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headrace.core.types import NO_ROOM, Room


@dataclass(frozen=True, slots=True)
class Precedence:
    """What interactive jobs may take beyond the free room, and what the others get before them.

    For what interactive jobs take of `yielded`, the worker gives back running jobs of lower
    priority. `default` and `batch` are what these priorities are guaranteed and do not hold.
    """

    yielded: Room = NO_ROOM
    default: Room = NO_ROOM
    batch: Room = NO_ROOM

    def arguments(self) -> Iterator[int]:
        """Yields the values as `claim.lua` expects them."""
        for room in (self.yielded, self.default, self.batch):
            yield from (room.slots, room.tokens)


NO_PRECEDENCE = Precedence()
"""Strict order of priorities: nothing yields, and nothing is guaranteed."""
