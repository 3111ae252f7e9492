"""Requests that are submitted in one go, as `submit.lua` wants them and as it answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

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
from headrace.core.jobs.rates import NO_RATES, Rates, Usage
from headrace.core.settings import Settings
from headrace.core.types import Request

PER_MINUTE = b"_per_minute"
"""End of the verdict that the API key is at a rate; before it stands which."""

BROKEN = {
    b"running_jobs": "as many jobs as this key allows wait and run already; try again later",
    b"queue_share": "this key's share of the queue is full; try again later",
}
"""Verdicts of a quota."""


MOST_AT_ONCE = 64
"""Jobs that one call of the script accepts; a submission of more has one of its own."""


@dataclass(frozen=True, slots=True)
class Submission:
    """All `requests` are accepted, or none; they are one tenant's.

    `pace` says which deadlines cannot be met, and when a full queue will have room; `quota` is the
    tenant's, `rates` are those of the caller's API key.
    """

    requests: Sequence[Request]
    idempotency: Idempotency = NO_KEY
    replay: Replay | None = None
    pace: Pace = UNKNOWN
    quota: Quota = NO_QUOTA
    rates: Rates = NO_RATES

    def script_keys(self) -> list[str]:
        key = self.idempotency.key
        idempotency = keys.idempotency(self._tenant, key) if key else keys.NOTHING
        return [idempotency, self.rates.key]

    def script_arguments(self, settings: Settings) -> list[Any]:
        kept_s = max(request.ttl_s or settings.result_ttl_s for request in self.requests)
        arguments = [
            self._tenant,
            self.requests[0].card_hash,
            settings.queue_ttl_s + kept_s,
            self.idempotency.fingerprint,
            *_bounds(self.quota, settings),
            _or_empty(self.rates.requests),
            _or_empty(self.rates.tokens),
            _or_empty(self.pace.retry_tokens_per_s),
            len(self.requests),
        ]
        for request in self.requests:
            arguments += self._job(request)
        return arguments

    def usages(self, answer: Sequence[Any]) -> list[Usage]:
        """One for each rate that the caller's key has a limit of."""
        *_verdict, (jobs_before, jobs, tokens_before, tokens, left_s) = answer
        counts = {
            "requests": (self.rates.requests, jobs_before, jobs),
            "tokens": (self.rates.tokens, tokens_before, tokens),
        }
        return [
            Usage(kind, limit, before, now, float(left_s))
            for kind, (limit, before, now) in counts.items()
            if limit is not None
        ]

    def result(self, answer: Sequence[Any], settings: Settings) -> list[Submitted]:
        """Raises `QueueFull`, `LimitExceeded`, `IdempotencyConflict`, `DeadlineUnmeetable`.

        And `InvalidRequest` for more at once than the quota or a rate will ever let pass.
        """
        verdict, jobs, waiting, tokens, running, is_full, owed_s, _usage = answer
        ids = [job_id.decode() for job_id, *_rest in jobs]
        if verdict == b"full":
            raise self._full(waiting, tokens, float(owed_s))
        if verdict in BROKEN:
            raise self._beyond_quota(verdict, settings)
        if verdict.endswith(PER_MINUTE):
            raise self._too_fast(verdict.removesuffix(PER_MINUTE).decode(), answer)
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

    def _job(self, request: Request) -> list[Any]:
        fields = rq_adapter.job_fields(request)
        if self.replay is not None:
            fields += ["hr_replay_of", self.replay.of]
        return [
            request.id,
            keys.QUEUE_NAMES[request.priority],
            request.cost_tokens,
            _or_empty(request.deadline_s),
            _or_empty(self.pace.most_before(request)),
            0 if self.replay is None else self.replay.deaths,
            len(fields),
            *fields,
        ]

    @property
    def _tenant(self) -> str:
        return self.requests[0].tenant

    @property
    def _cost_tokens(self) -> int:
        return sum(request.cost_tokens for request in self.requests)

    def _full(self, waiting: int, tokens: int, owed_s: float) -> QueueFull:
        """There is room when what waits has left, and what was refused before has come again."""
        return QueueFull(
            f"{waiting} jobs with {tokens} tokens wait already; try again later",
            self.pace.retry_after_s(tokens, owed_s),
        )

    def _beyond_quota(self, verdict: bytes, settings: Settings) -> LimitExceeded | InvalidRequest:
        """Of the quota that the verdict names: no later try helps where it is too small itself."""
        most_jobs, share_jobs, _share_tokens = _bounds(self.quota, settings)
        most = int(most_jobs if verdict == b"running_jobs" else share_jobs)
        code, jobs = verdict.decode(), len(self.requests)
        if jobs > most:
            return InvalidRequest(f"{jobs} jobs at once: this key allows {most}", None, code)
        return LimitExceeded(BROKEN[verdict], code)

    def _too_fast(self, kind: str, answer: Sequence[Any]) -> LimitExceeded | InvalidRequest:
        usage = next(usage for usage in self.usages(answer) if usage.kind == kind)
        cost = len(self.requests) if kind == "requests" else self._cost_tokens
        code = f"{kind}_per_minute"
        if cost > usage.limit:
            return InvalidRequest(
                f"{cost} {kind} at once: this key allows {usage.limit} a minute",
                "max_tokens" if kind == "tokens" else None,
                code,
            )
        return LimitExceeded(
            f"this key allows {usage.limit} {kind} a minute", code, usage.wait_s(cost)
        )

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


@dataclass(frozen=True, slots=True)
class Call:
    """A submission as the script wants it: its keys and its arguments."""

    submission: Submission
    keys: list[str]
    arguments: list[Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the script said to a submission."""

    submission: Submission
    said: Sequence[Any]
    settings: Settings

    def submitted(self) -> list[Submitted]:
        """Raises as `Submission.result` does, and `ResponseError` where Redis refused a write."""
        if self._has_failed:
            raise ResponseError(self.said[1].decode())
        return self.submission.result(self.said, self.settings)

    @property
    def usages(self) -> list[Usage]:
        """How the caller's key stands with its rates after it; none where that is not known."""
        return [] if self._has_failed else self.submission.usages(self.said)

    @property
    def _has_failed(self) -> bool:
        return bool(self.said[0] == b"failed")


def in_parts(calls: Sequence[Call]) -> Iterator[list[Call]]:
    """Splits calls so that each part holds Redis for a few milliseconds: others have their turn."""
    part: list[Call] = []
    jobs = 0
    for call in calls:
        jobs += len(call.submission.requests)
        if part and jobs > MOST_AT_ONCE:
            yield part
            part, jobs = [], len(call.submission.requests)
        part.append(call)
    if part:
        yield part


def _bounds(quota: Quota, settings: Settings) -> tuple[float | str, ...]:
    """As `submit.lua` wants them: most jobs, then the share of the queue in jobs and tokens."""
    most_jobs = _or_empty(quota.running_jobs)
    if quota.queue_share is None:
        return most_jobs, "", ""
    bounds = settings.queue_max_jobs, settings.queue_max_tokens
    # One job at least: a share that takes none would be no share.
    return most_jobs, *(max(1, int(quota.queue_share * bound)) for bound in bounds)


def _or_empty(limit: float | None) -> float | str:
    """As `submit.lua` wants it."""
    return "" if limit is None else limit
