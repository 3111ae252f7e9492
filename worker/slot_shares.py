"""Which priority gets which part of a worker's room: interactive work first, the others a share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable

from headrace.core.jobs.precedence import Precedence
from headrace.core.types import Priority, Room
from worker.running import Running

LOWER = (Priority.DEFAULT, Priority.BATCH)
"""Priorities that have a guaranteed share, the higher one first."""

SMALLEST_PARTS = 4
"""A worker with fewer slots keeps none for a priority, or interactive work would have too few."""


class SlotShares:
    """Says what is owed to default and batch work, and which of their jobs make room.

    `capacity` is the room of an empty engine; each of the two keeps `share` of it. A worker too
    small for that takes one of their jobs for every 1 / `share` jobs that went before them.
    """

    def __init__(self, capacity: Room, share: float, may_preempt: bool) -> None:
        self._share = share
        self._may_preempt = may_preempt
        slots = min(math.ceil(capacity.slots * share), capacity.slots // SMALLEST_PARTS)
        one_row = capacity.tokens // max(1, capacity.slots)
        self._guaranteed = Room(slots, max(one_row, math.ceil(capacity.tokens * share)))
        self._passed: Counter[Priority] = Counter()

    def precedence(self, running: Collection[Running]) -> Precedence:
        """Returns what a claim beside the running jobs should go by."""
        yielding = self.yielding(running)
        return Precedence(
            Room(len(yielding), sum(job.kept_tokens for job in yielding)),
            *(self._owed(priority, _of(priority, running)) for priority in LOWER),
        )

    def yielding(self, running: Collection[Running]) -> list[Running]:
        """Returns the jobs that may make room for interactive work, in the order in which they do.

        Batch jobs come before default jobs, and those that cost least to run again first.
        """
        if not self._may_preempt:
            return []
        lowest_first = reversed(LOWER)
        return [job for each in lowest_first for job in self._beyond(_of(each, running))]

    def victims(self, running: Collection[Running], missing: Room) -> list[Running]:
        """Returns the jobs whose end leaves the room that is missing; none where none is."""
        slots, tokens, found = missing.slots, missing.tokens, []
        for job in self.yielding(running):
            if slots <= 0 and tokens <= 0:
                break
            found.append(job)
            slots, tokens = slots - 1, tokens - job.kept_tokens
        return found

    def overflow(self, running: Collection[Running], tokens: int) -> list[Running]:
        """Returns the jobs that make room where the others lack so many tokens of cache.

        Only jobs without a limit may outgrow what was kept for them. One job always has room.
        """
        found: list[Running] = []
        inside = [job for job in running if not job.has_last_token]
        for job in sorted((job for job in inside if job.is_open), key=_cost_of_yielding):
            if tokens <= 0 or len(found) + 1 == len(inside):
                break
            found.append(job)
            tokens -= job.kept_tokens
        return found

    def claimed(self, priorities: Iterable[Priority]) -> None:
        """Notes the priorities of the jobs that a claim brought."""
        brought = Counter(priorities)
        ahead = brought[Priority.INTERACTIVE]
        for priority in LOWER:
            self._passed[priority] = 0 if brought[priority] else self._passed[priority] + ahead
            ahead += brought[priority]

    def _owed(self, priority: Priority, jobs: Collection[Running]) -> Room:
        slots = self._guaranteed.slots - len(jobs)
        if not self._guaranteed.slots:
            slots = int(not jobs and self._passed[priority] * self._share >= 1)
        held = sum(job.kept_tokens for job in jobs)
        return Room(max(0, slots), max(0, self._guaranteed.tokens - held))

    def _beyond(self, jobs: Collection[Running]) -> list[Running]:
        """Those beyond the guaranteed share, which stays with the jobs that cost most to redo."""
        cheapest_first = sorted(jobs, key=lambda job: job.redo_tokens)
        able = [job for job in cheapest_first if job.may_yield]
        return able[: max(0, len(jobs) - self._guaranteed.slots)]


def _cost_of_yielding(job: Running) -> tuple[int, bool, int]:
    """Low priority costs least. A schema's output may take another turn when it is run again."""
    has_schema = job.request.sampling.json_schema is not None
    return -list(Priority).index(job.request.priority), has_schema, job.redo_tokens


def _of(priority: Priority, running: Collection[Running]) -> list[Running]:
    return [job for job in running if job.request.priority is priority]
