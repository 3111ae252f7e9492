"""How fast the fleet works, as it was measured lately, and what follows for a job that waits.

Nothing is assumed: what has not been measured is None, and so is what would follow from it.
The scripts that end jobs keep the sums (`scripts/common.lua`), those that claim say when the fleet
is full.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from redis.exceptions import RedisError

from headrace.core.clock import Clock, SystemClock
from headrace.core.connection import Client
from headrace.core.jobs import keys, rq_adapter
from headrace.core.roster import Roster
from headrace.core.types import Priority, Request

FRESH_S = 1.0
"""How old a pace may be: a busy API does not ask for it with every request."""

MEASURED_S = 1.0
"""For so long a fleet has to have been full before its rate counts as known."""

UNSEEN_TOKENS = 256
"""Length of an answer without a limit, as long as none has ended."""

SHORTEST_RETRY_S, LONGEST_RETRY_S = 1, 600

RETRY_SHARE = 0.4
"""The part of the drain rate at which refused work is called back: most is for what comes anew."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job waits: `jobs` that cost `tokens` go before it, and `running` ones run.

    A fleet that `is_full` had jobs left waiting at its last claim.
    """

    jobs: int
    tokens: float
    running: int
    is_full: bool

    @classmethod
    def of(
        cls,
        ranks: Sequence[int | None],
        queues: Sequence[tuple[int, float]],
        running: int,
        is_full: bool,
        share: float,
    ) -> Self | None:
        """Returns the place of a job that has this rank in one of the queues.

        Each queue holds this many jobs and tokens; each but the first has a guaranteed `share`,
        which bounds what goes before its jobs. None for a job that stands in no queue.
        """
        ahead, before = 0, 0.0
        for rank, (waiting, cost) in zip(ranks, queues, strict=True):
            if rank is not None:
                own = cost / waiting
                jobs, tokens = ahead + rank, before + own * rank
                if ahead and share:
                    jobs = min(jobs, math.ceil((rank + 1) / share) - 1)
                    tokens = min(tokens, own * (rank + 1) / share)
                return cls(jobs, tokens, running, is_full)
            ahead, before = ahead + waiting, before + cost
        return None


@dataclass(frozen=True, slots=True)
class Pace:
    """`slots` are those of all live workers that take jobs; `interactive` jobs run in some of them.

    `tokens_per_s` is the drain rate: how many tokens the jobs that ended counted for while they
    waited (`Request.charged_tokens`), a second of a full fleet. `prefill_s` is the time from claim
    to first token for each prompt token; `decode_s` the time from first to last token for each
    token that the job was allowed: of jobs that end before their `max_tokens` it is the smaller for
    it. `output_tokens` is the mean length of answers whose callers named no limit.
    """

    slots: int = 0
    interactive: int = 0
    tokens_per_s: float | None = None
    prefill_s: float | None = None
    decode_s: float | None = None
    output_tokens: float | None = None

    def eta_s(self, request: Request, place: Place) -> float | None:
        """Seconds until a waiting job will have ended. None where that is not known."""
        wait_s, service_s = self._wait_s(request, place), self._service_s(request)
        return None if wait_s is None or service_s is None else wait_s + service_s

    def most_before(self, request: Request) -> float | None:
        """The tokens that may go before a job in a full fleet; None where any number may.

        With more of them it would end after its deadline.
        """
        service_s = self._service_s(request)
        if request.deadline_s is None or self.tokens_per_s is None or service_s is None:
            return None
        patience_s = max(0.0, request.deadline_s - service_s)
        return max(0.0, patience_s * self.tokens_per_s - request.charged_tokens)

    def expected_tokens(self, most: int) -> int:
        """Returns how long an answer will probably be that may have `most` tokens."""
        return min(most, math.ceil(self.output_tokens or UNSEEN_TOKENS))

    @property
    def retry_tokens_per_s(self) -> float | None:
        """The rate at which refused work is called back; None where the drain rate is not known."""
        return RETRY_SHARE * self.tokens_per_s if self.tokens_per_s else None

    def retry_after_s(self, tokens: float, owed_s: float = 0.0) -> int:
        """Whole seconds in which the fleet will probably have drained so many tokens, and `owed_s`.

        From 1 to 600; 1 where its rate is not known.
        """
        seconds = tokens / self.tokens_per_s + owed_s if self.tokens_per_s else 0.0
        return math.ceil(min(max(seconds, SHORTEST_RETRY_S), LONGEST_RETRY_S))

    def _service_s(self, request: Request) -> float | None:
        """Seconds from a job's claim to its end."""
        if self.prefill_s is None or self.decode_s is None or not self.slots:
            return None
        prefill_s = len(request.prompt_ids) * self.prefill_s
        return prefill_s + request.left_tokens(0) * self.decode_s

    def _wait_s(self, request: Request, place: Place) -> float | None:
        """Seconds until a slot is free: as many jobs as go before it have to end, and one more.

        Those for which slots are free need not. Jobs of lower priority make room for an interactive
        job, but for the few that are guaranteed theirs.
        """
        ends = place.jobs + 1
        if request.priority is Priority.INTERACTIVE:
            ends -= max(0, self.slots - self.interactive)
        elif not (place.is_full and place.jobs):
            ends -= max(0, self.slots - place.running)
        if ends <= 0:
            return 0.0
        if not self.tokens_per_s:
            return None
        mean_tokens = (place.tokens + request.charged_tokens) / (place.jobs + 1)
        return ends * mean_tokens / self.tokens_per_s


UNKNOWN = Pace()
"""Of a fleet that nobody has measured."""


class PaceMeter:
    """Reads the fleet's pace, once a second at the most."""

    def __init__(self, redis: Client, roster: Roster, clock: Clock | None = None) -> None:
        self._redis = redis
        self._roster = roster
        self._clock = clock or SystemClock()
        self._pace = UNKNOWN
        self._read_at = -math.inf

    def current(self) -> Pace:
        """The last one that was read where the server is away."""
        now = self._clock.now()
        if now - self._read_at >= FRESH_S:
            self._read_at = now
            with suppress(RedisError):
                self._pace = self._read()
        return self._pace

    def _read(self) -> Pace:
        fields = self._redis.hgetall(keys.PACE)
        interactive = rq_adapter.registry_key("wip", keys.QUEUE_NAMES[Priority.INTERACTIVE])
        ready = (worker for worker in self._roster.workers() if worker.activity == "ready")
        return Pace(
            slots=sum(worker.stats.slots for worker in ready),
            interactive=self._redis.zcard(interactive),
            tokens_per_s=_ratio(fields, b"tokens", b"seconds", MEASURED_S),
            prefill_s=_ratio(fields, b"prefill_s", b"prompt"),
            decode_s=_ratio(fields, b"decode_s", b"allowed"),
            output_tokens=_ratio(fields, b"open_tokens", b"open_jobs"),
        )


def _ratio(
    fields: Mapping[bytes, bytes], upper: bytes, lower: bytes, least: float = 0.0
) -> float | None:
    below = float(fields.get(lower, 0))
    return float(fields.get(upper, 0)) / below if below > least else None
