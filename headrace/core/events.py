"""What happened, in order: the token stream of each job and the log of ended jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.jobs.job import Report, Timings
from headrace.core.jobs.logprobs import decode_logprobs
from headrace.core.jobs.rq_adapter import job_state
from headrace.core.types import JobState, TokenLogprobs

START = "0-0"
"""Place before the first token of a stream."""


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """One entry of a token stream. `place` is where a reader resumes behind it.

    The last entry has the job's terminal `state` and its reason (`stop`, `length` or an error).
    `logprobs` has one entry a token where the request asked for them.
    """

    place: str
    token_ids: tuple[int, ...]
    text: str
    state: JobState | None = None
    reason: str = ""
    logprobs: tuple[TokenLogprobs, ...] = ()

    @property
    def count(self) -> int:
        """Tokens of the job up to the end of this entry."""
        return count(self.place)


@dataclass(frozen=True, slots=True)
class Completion:
    """One record of the completion log. `report` is None for a job that no engine ended."""

    job_id: str
    state: JobState
    reason: str
    timings: Timings
    report: Report | None


def count(place: str) -> int:
    """Tokens of a job up to a place of its stream."""
    return int(place.partition("-")[0])


def tokens(redis: Client, job_id: str, after: str = START) -> list[TokenEvent]:
    """The entries of a job's stream behind a place."""
    entries = redis.xrange(keys.stream(job_id), min=f"({after}")
    return [_token_event(place.decode(), fields) for place, fields in entries]


def completions(redis: Client, limit: int) -> list[Completion]:
    """The newest records, oldest of them first."""
    entries = redis.xrevrange(keys.COMPLETIONS, count=limit)
    return [_completion(fields) for _place, fields in reversed(entries)]


def _token_event(place: str, fields: Mapping[bytes, bytes]) -> TokenEvent:
    status, reason = fields.get(b"end"), fields.get(b"reason", b"").decode()
    return TokenEvent(
        place=place,
        token_ids=tuple(json.loads(fields[b"ids"])),
        text=fields[b"text"].decode(),
        state=job_state(status.decode(), reason) if status else None,
        reason=reason,
        logprobs=decode_logprobs(fields.get(b"logprobs")),
    )


def _completion(fields: Mapping[bytes, bytes]) -> Completion:
    reason = fields[b"reason"].decode()
    return Completion(
        job_id=fields[b"id"].decode(),
        state=job_state(fields[b"status"].decode(), reason),
        reason=reason,
        timings=Timings.from_stamps(fields[b"stamps"].split()),
        report=Report.decode(fields[b"report"]),
    )
