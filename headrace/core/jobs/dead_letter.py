"""One dead letter: a job that the system gave up on, with all that is known of why."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.core.jobs.job import Report
from headrace.core.jobs.rq_adapter import decode_request, decode_result, priority_of
from headrace.core.types import DEFAULT_TENANT, Priority, Request

FIELDS = (
    *("origin", "worker_name", "hr_reason", "hr_report", "hr_attempt", "hr_tenant"),
    *("hr_deaths", "hr_died", "hr_accepted", "hr_committed", "hr_replay_of", "hr_replayed_as"),
)
"""What is read of a job's hash, beside its request."""


@dataclass(frozen=True, slots=True)
class Death:
    """A worker that died while it ran the job, beside `batch_size - 1` others."""

    worker: str
    at: float
    batch_size: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`accepted`, `ended` and `forgotten` are Redis TIME.

    It vanishes by itself when it is `forgotten`; None: never, as its RQ `failure_ttl` asks.

    `request` is None for a job that cannot be read. `died` may hold fewer entries than `deaths`
    says: jobs of earlier versions only counted. `replayed_as` is the job that asks again.
    """

    job_id: str
    tenant: str
    priority: Priority
    reason: str
    error: str
    attempts: int
    deaths: int
    died: tuple[Death, ...]
    worker: str | None
    batch_size: float | None
    accepted: float
    ended: float
    forgotten: float | None
    request: Request | None
    replay_of: str | None
    replayed_as: str | None


def decode_dead_letter(
    job_id: str, fields: Mapping[bytes, bytes], ending: Mapping[bytes, bytes], forgotten: float
) -> DeadLetter:
    """`fields` are the job's hash, `ending` the newest of its results."""
    text = {name: fields.get(name.encode(), b"").decode() for name in FIELDS}
    died = decode_died(text["hr_died"])
    return DeadLetter(
        job_id=job_id,
        tenant=text["hr_tenant"] or DEFAULT_TENANT,
        priority=priority_of(text["origin"]),
        reason=text["hr_reason"],
        error=decode_result(ending)[1] or text["hr_reason"],
        attempts=int(text["hr_attempt"] or 0),
        deaths=int(text["hr_deaths"] or 0),
        died=died,
        worker=text["worker_name"] or None,
        batch_size=_batch_size(text, died),
        accepted=float(text["hr_accepted"]),
        ended=float(text["hr_committed"]),
        forgotten=None if math.isinf(forgotten) else forgotten,
        request=_request(job_id, fields),
        replay_of=text["hr_replay_of"] or None,
        replayed_as=text["hr_replayed_as"] or None,
    )


def decode_died(encoded: str) -> tuple[Death, ...]:
    deaths = json.loads(encoded or "[]")
    return tuple(
        Death(death["worker"], float(death["at"]), int(death["batch_size"])) for death in deaths
    )


def _batch_size(text: Mapping[str, str], died: tuple[Death, ...]) -> float | None:
    """Of the last attempt: as its worker died, or as its worker measured it.

    None where it never was in a batch.
    """
    if died:
        return died[-1].batch_size
    report = Report.decode(text["hr_report"].encode())
    return (report.batch_size or None) if report else None


def _request(job_id: str, fields: Mapping[bytes, bytes]) -> Request | None:
    try:
        return decode_request(job_id, fields[b"data"], fields[b"origin"].decode())
    except (ValueError, KeyError):
        return None
