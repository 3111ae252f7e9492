"""A request of the monitor's own: whether a first token would come within the SLO now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from headrace.core.card_store import CardStore
from headrace.core.clock import Clock
from headrace.core.errors import JobNotFound, QueueFull, Unavailable
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from headrace.core.types import CANARY_TENANT, Priority, Request, Sampling

Outcome = Literal["good", "late", "failed"]
PROMPT, MAX_TOKENS = "Hello", 2
POLL_S = 0.05
KEPT_S = 60


@dataclass(frozen=True, slots=True)
class Flight:
    """`ttft_s` from acceptance to the first token, or to when it was given up."""

    outcome: Outcome
    ttft_s: float


class Canary:
    """It goes the way of every job, as a tenant of its own, and is neither counted nor listed."""

    def __init__(self, queue: JobQueue, cards: CardStore, settings: Settings, clock: Clock) -> None:
        self._queue = queue
        self._cards = cards
        self._limit_s = settings.slo_latency_s
        self._clock = clock

    def fly(self) -> Flight | None:
        """Returns once the first token has come or is overdue; an overdue one is cancelled.

        None where none can fly: no worker was ever ready, or the queue takes no jobs. Raises
        `RedisError`.
        """
        try:
            job_id = self._queue.submit(self._request()).job_id
        except (QueueFull, Unavailable):
            return None
        began = self._clock.now()
        while (flight := self._look(job_id)) is None:
            if self._clock.now() - began > self._limit_s:
                self._queue.cancel(job_id)
                return Flight("late", self._clock.now() - began)
            self._clock.sleep(POLL_S)
        return flight

    def _request(self) -> Request:
        card = self._cards.current()
        return Request(
            id=f"canary-{uuid4().hex}",
            model=card.name,
            card_hash=card.hash,
            prompt_ids=card.tokenize(PROMPT) or (0,),
            sampling=Sampling(MAX_TOKENS, temperature=0.0),
            tenant=CANARY_TENANT,
            priority=Priority.INTERACTIVE,
            deadline_s=KEPT_S,
            ttl_s=KEPT_S,
        )

    def _look(self, job_id: str) -> Flight | None:
        """None while nothing has come."""
        try:
            job = self._queue.get(job_id)
        except JobNotFound:
            return Flight("failed", 0.0)
        times = job.timings
        if job.state.is_terminal and job.error is not None:
            return Flight("failed", 0.0)
        if times.accepted is None or times.first_token is None:
            return None
        ttft_s = times.first_token - times.accepted
        return Flight("good" if ttft_s <= self._limit_s else "late", ttft_s)
