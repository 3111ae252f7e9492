"""Requests that are submitted in one go, as `submit.lua` wants them and as it answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.core.errors import (
    DeadlineUnmeetable,
    IdempotencyConflict,
    InvalidRequest,
    LimitExceeded,
    QueueFull,
)
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.handover import (
    NO_KEY,
    NO_QUOTA,
    Idempotency,
    Quota,
    Replay,
    Submitted,
)
from headrace.core.jobs.pace import UNKNOWN, Pace, Place
from headrace.core.settings import Settings
from headrace.core.types import Request

BROKEN = {
    b"running_jobs": "as many jobs as this key allows wait and run already; try again later",
    b"queue_share": "this key's share of the queue is full; try again later",
}
"""Verdicts of a quota."""


@dataclass(frozen=True, slots=True)
class Submission:
    """All `requests` are accepted, or none; they are one tenant's.

    `pace` says which deadlines cannot be met, and when a full queue will have room; `quota` is the
    tenant's.
    """

    requests: Sequence[Request]
    idempotency: Idempotency = NO_KEY
    replay: Replay | None = None
    pace: Pace = UNKNOWN
    quota: Quota = NO_QUOTA

    def script_keys(self) -> list[str]:
        key, tenant = self.idempotency.key, self.requests[0].tenant
        return [rq_adapter.QUEUES_KEY, keys.idempotency(tenant, key) if key else ""]

    def script_arguments(self, settings: Settings, constant_fields: Mapping[str, Any]) -> list[Any]:
        """`constant_fields` are what RQ writes for all jobs alike."""
        kept_s = max(request.ttl_s or settings.result_ttl_s for request in self.requests)
        return [
            settings.queue_max_jobs,
            settings.queue_max_tokens,
            settings.queue_ttl_s,
            settings.queue_ttl_s + kept_s,
            self.idempotency.fingerprint,
            *_bounds(self.quota, settings),
            *_flat(self._job(request, constant_fields) for request in self.requests),
        ]

    def result(self, answer: Sequence[Any], settings: Settings) -> list[Submitted]:
        """Raises `QueueFull`, `LimitExceeded`, `IdempotencyConflict`, `DeadlineUnmeetable`.

        `InvalidRequest` for more jobs at once than the quota will ever allow.
        """
        verdict, jobs, waiting, tokens, running, is_full = answer
        ids = [job_id.decode() for job_id, *_rest in jobs]
        if verdict == b"full":
            raise self._full(waiting, tokens, settings)
        if verdict in BROKEN:
            raise self._beyond_quota(verdict, settings)
        if verdict == b"conflict":
            raise IdempotencyConflict(
                f"this Idempotency-Key was used for another request: job {', '.join(ids)}"
            )
        places = [Place(ahead, cost, running, bool(is_full)) for *_job, ahead, cost in jobs]
        if verdict == b"late":
            raise self._late(ids[0], places[0])
        stamps = [float(accepted) for _id, accepted, *_place in jobs]
        if verdict == b"already":
            return [Submitted(*job) for job in zip(ids, stamps, strict=True)]
        return [Submitted(*job) for job in zip(ids, stamps, places, strict=True)]

    def _job(self, request: Request, constant_fields: Mapping[str, Any]) -> Iterator[Any]:
        fields = {**constant_fields, **rq_adapter.job_fields(request)}
        if self.replay is not None:
            fields |= {"hr_replay_of": self.replay.of, "hr_deaths": self.replay.deaths}
        most_before = self.pace.most_before(request)
        yield request.id
        yield keys.QUEUE_NAMES[request.priority]
        yield request.tenant
        yield request.cost_tokens
        yield "" if request.deadline_s is None else request.deadline_s
        yield "" if most_before is None else most_before
        yield len(fields)
        yield from _flat(fields.items())

    def _full(self, waiting: int, tokens: int, settings: Settings) -> QueueFull:
        """There is room when as many jobs and tokens have left as are too many."""
        jobs_over = waiting + len(self.requests) - settings.queue_max_jobs
        cost = sum(request.cost_tokens for request in self.requests)
        tokens_over = max(
            tokens + cost - settings.queue_max_tokens, jobs_over * tokens / max(1, waiting)
        )
        return QueueFull(
            f"{waiting} jobs with {tokens} tokens wait already; try again later",
            self.pace.retry_after_s(tokens_over),
        )

    def _beyond_quota(self, verdict: bytes, settings: Settings) -> LimitExceeded | InvalidRequest:
        """Of the quota that the verdict names: no later try helps where it is too small itself."""
        most_jobs, share_jobs, _share_tokens = _bounds(self.quota, settings)
        most = int(most_jobs if verdict == b"running_jobs" else share_jobs)
        code, jobs = verdict.decode(), len(self.requests)
        if jobs > most:
            return InvalidRequest(f"{jobs} jobs at once: this key allows {most}", None, code)
        return LimitExceeded(BROKEN[verdict], code)

    def _late(self, job_id: str, place: Place) -> DeadlineUnmeetable:
        """The deadline can be met when no more waits than `most_before` allows."""
        request = next(request for request in self.requests if request.id == job_id)
        tokens_over = place.tokens - (self.pace.most_before(request) or 0.0)
        eta_s, deadline_s = self.pace.eta_s(request, place) or 0.0, request.deadline_s or 0.0
        return DeadlineUnmeetable(
            f"deadline_s: {deadline_s:g}, but behind what waits this job would end in about "
            f"{eta_s:.1f} s (eta_s)",
            self.pace.retry_after_s(tokens_over),
        )


def _bounds(quota: Quota, settings: Settings) -> tuple[int | str, ...]:
    """As `submit.lua` wants them: most jobs, then the share of the queue in jobs and tokens."""
    most_jobs = "" if quota.running_jobs is None else quota.running_jobs
    if quota.queue_share is None:
        return most_jobs, "", ""
    bounds = settings.queue_max_jobs, settings.queue_max_tokens
    # One job at least: a share that takes none would be no share.
    return most_jobs, *(max(1, int(quota.queue_share * bound)) for bound in bounds)


def _flat(rows: Iterable[Iterable[Any]]) -> Iterator[Any]:
    return (value for row in rows for value in row)
