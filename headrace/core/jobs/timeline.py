"""What happened to one job, in order: also to the attempts that came to nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.core.connection import Client
from headrace.core.errors import JobNotFound
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.dead_letter import decode_died
from headrace.core.jobs.job import Report
from headrace.core.types import JobState, Priority

FIELDS = (
    *("origin", "status", "worker_name", "hr_attempt", "hr_timeline", "hr_died", "hr_reason"),
    *("hr_report", "hr_accepted", "hr_claimed", "hr_first_token", "hr_last_token", "hr_committed"),
)
"""What is read of a job's hash."""

AT_ONE_MOMENT = ("accepted", "claimed", "first_token", "last_token", "died")
"""Their order where times are equal; everything else follows from these."""


@dataclass(frozen=True, slots=True)
class Moment:
    """`at` is Redis TIME. `event` is one of:

    accepted, reprioritised (`priority`), set_aside by a `worker` of another model, claimed
    (`worker`, `attempt`, `alone`), first_token, last_token; died (the `worker`, with `batch_size`
    jobs); redelivered after a death, released by a worker that ends or runs another model,
    preempted by an interactive job, recalled after a lost answer: it waits again; retried
    (`reason`, `due_at`, `batch_size`); and at last its terminal state (`reason`, `worker`,
    `batch_size`, `attempt`).
    """

    at: float
    event: str
    worker: str | None = None
    attempt: int | None = None
    alone: bool | None = None
    batch_size: float | None = None
    reason: str | None = None
    due_at: float | None = None
    priority: Priority | None = None


def read_timeline(redis: Client, job_id: str) -> list[Moment]:
    """The oldest moment first. Raises `JobNotFound`, also for a job that cannot be read."""
    values = redis.hmget(rq_adapter.job_key(job_id), FIELDS)
    job = {name: (value or b"").decode() for name, value in zip(FIELDS, values, strict=True)}
    if job["origin"] not in keys.QUEUE_NAMES.values():
        raise JobNotFound(f"no job {job_id}")
    try:
        moments = [*_accepted(job), *_noted(job), *_tokens(job), *_deaths(job), *_end(job)]
    except ValueError as problem:
        raise JobNotFound(f"no job {job_id}") from problem
    return sorted(moments, key=_order)


def _order(moment: Moment) -> tuple[float, int]:
    known = moment.event in AT_ONE_MOMENT
    return moment.at, AT_ONE_MOMENT.index(moment.event) if known else len(AT_ONE_MOMENT)


def _accepted(job: Mapping[str, str]) -> Iterator[Moment]:
    if job["hr_accepted"]:  # a job of stock RQ is accepted when it is first seen
        yield Moment(float(job["hr_accepted"]), "accepted")


def _noted(job: Mapping[str, str]) -> Iterator[Moment]:
    """What the scripts noted; of a job that an older version claimed, its first claim."""
    for line in job["hr_timeline"].splitlines():
        yield _decode(json.loads(line))
    if not job["hr_timeline"] and job["hr_attempt"]:
        yield Moment(float(job["hr_claimed"]), "claimed", worker=job["worker_name"] or None)


def _decode(entry: dict[str, Any]) -> Moment:
    queue, due_at = entry.pop("queue", None), entry.pop("due_at", None)
    return Moment(
        at=float(entry.pop("at")),
        batch_size=_rounded(entry.pop("batch_size", None)),
        due_at=float(due_at) if due_at else None,
        priority=rq_adapter.priority_of(queue) if queue else None,
        **entry,
    )


def _rounded(batch_size: float | None) -> float | None:
    """None for a job that took part in no step."""
    return round(batch_size, 2) if batch_size else None


def _tokens(job: Mapping[str, str]) -> Iterator[Moment]:
    """A job that ends without a token has the stamp of its end here as well."""
    succeeded = job["status"] == "finished"
    for name in ("first_token", "last_token"):
        at = job[f"hr_{name}"]
        if at and (succeeded or at != job["hr_committed"]):
            yield Moment(float(at), name)


def _deaths(job: Mapping[str, str]) -> Iterator[Moment]:
    for death in decode_died(job["hr_died"]):
        yield Moment(death.at, "died", worker=death.worker, batch_size=death.batch_size)


def _end(job: Mapping[str, str]) -> Iterator[Moment]:
    state = rq_adapter.job_state(job["status"], job["hr_reason"])
    if not (state.is_terminal and job["hr_committed"]):
        return
    report = Report.decode(job["hr_report"].encode())
    yield Moment(
        float(job["hr_committed"]),
        state.value,
        worker=job["worker_name"] or None,
        attempt=report.attempt if report else None,
        batch_size=_rounded(report.batch_size) if report else None,
        reason=None if state is JobState.SUCCEEDED else job["hr_reason"],
    )
