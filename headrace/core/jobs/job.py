"""A job as it stands in Redis, and the times of its life."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Self

from pydantic_core import to_json

from headrace.core.jobs.aside import Standing, WaitingFor
from headrace.core.jobs.pace import Place
from headrace.core.jobs.rq_adapter import decode_request, decode_result, job_state
from headrace.core.types import JobState, Request

STAMPS = ("accepted", "claimed", "first_token", "last_token", "committed")
STAGES = ("queue_wait", "prefill", "decode", "commit")
"""Stage i lies between stamps i and i + 1: together they are accepted to committed."""


class Timings(NamedTuple):
    """Redis TIME of each stamp reached so far, seconds since the epoch; None where not reached."""

    accepted: float | None = None
    claimed: float | None = None
    first_token: float | None = None
    last_token: float | None = None
    committed: float | None = None

    @property
    def stages(self) -> dict[str, float]:
        """Seconds of each stage that has ended."""
        return {
            stage: end - start
            for stage, (start, end) in zip(STAGES, pairwise(self), strict=True)
            if start is not None and end is not None
        }

    @classmethod
    def from_stamps(cls, stamps: Sequence[bytes]) -> Self:
        return cls(*map(float, stamps))


class Report(NamedTuple):
    """What a worker measured of one job; its part of the completion log.

    `batch_size` is the mean number of rows in the steps that the job took part in.
    """

    model: str = ""
    tenant: str = "default"
    priority: str = "default"
    prompt_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    tokenize_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    batch_size: float = 0.0
    worker: str = ""
    attempt: int = 0
    finish_reason: str | None = None

    def encode(self) -> str:
        return to_json(self._asdict()).decode()

    @classmethod
    def decode(cls, text: bytes | None) -> Self | None:
        return cls(**json.loads(text)) if text else None


@dataclass(frozen=True, slots=True)
class Job:
    """One job. `result` is set once it has succeeded, `error` once it has not.

    It has a `place` while it waits; one that was set aside is `waiting_for` a worker of its model.
    `reason` says why it did not succeed. `deadline` is Redis TIME, as is `expires`: the end of a
    wait, where it waits. `replay_of` is the dead letter whose request it asks again.
    """

    request: Request
    state: JobState
    timings: Timings
    attempts: int
    worker: str | None = None
    report: Report | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    reason: str | None = None
    place: Place | None = None
    deadline: float | None = None
    expires: float | None = None
    replay_of: str | None = None
    waiting_for: WaitingFor | None = None

    @property
    def id(self) -> str:
        return self.request.id

    @property
    def position(self) -> int | None:
        """Jobs that go before it; None unless it waits."""
        return None if self.place is None else self.place.jobs


def decode_job(
    job_id: str, fields: Mapping[bytes, bytes], ending: Mapping[bytes, bytes], standing: Standing
) -> Job:
    """`fields` are its hash, `ending` the newest of its results.

    What an earlier life of a requeued job left behind is not shown. Raises `ValueError` for a job
    that cannot be read.
    """
    reason = fields.get(b"hr_reason", b"").decode()
    state = job_state(fields[b"status"].decode(), reason)
    result, error = decode_result(ending) if state.is_terminal else (None, None)
    stamps = {name: _seconds(fields, name) for name in STAMPS}
    if not state.is_terminal:
        stamps["committed"] = None
    has_failed = state.is_terminal and state is not JobState.SUCCEEDED
    return Job(
        request=decode_request(job_id, fields[b"data"], fields[b"origin"].decode()),
        state=state,
        timings=Timings(**stamps),
        attempts=int(fields.get(b"hr_attempt", 0)),
        worker=fields.get(b"worker_name", b"").decode() or None,
        report=Report.decode(fields.get(b"hr_report")),
        result=result,
        error=error or (reason if has_failed else None),
        reason=(reason or None) if has_failed else None,
        place=standing.place,
        waiting_for=standing.waiting_for,
        deadline=_seconds(fields, "deadline"),
        expires=_seconds(fields, "expires") if state is JobState.QUEUED else None,
        replay_of=fields.get(b"hr_replay_of", b"").decode() or None,
    )


def _seconds(fields: Mapping[bytes, bytes], name: str) -> float | None:
    value = fields.get(f"hr_{name}".encode())
    return float(value) if value else None
