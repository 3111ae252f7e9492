"""JobQueue: the one way in which processes change jobs. Each method is one script, so atomic."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any
from uuid import uuid4

from headrace.core.connection import Client
from headrace.core.errors import JobNotFound, QueueFull
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.handover import (
    Claim,
    Claimed,
    Finished,
    Outcome,
    Publication,
    Submitted,
)
from headrace.core.jobs.job import Job, Timings, decode_job
from headrace.core.settings import Settings
from headrace.core.types import JobState, Priority, Request, Room

EXPIRED_ERROR = rq_adapter.encode_exc_string("the deadline passed before a worker was free")


class JobQueue:
    """Submits, claims, publishes, finishes and reads jobs.

    `redis` must return bytes. Every method raises `redis.exceptions.RedisError` when the server is
    away; all of them may be called again then: none does its work twice. Jobs of a claim whose
    answer was lost stay leased until the lease ends, and are redelivered then.
    """

    def __init__(self, redis: Client, settings: Settings) -> None:
        self.redis = redis
        self.settings = settings
        self._scripts = {
            name: rq_adapter.load_script(redis, name, settings)
            for name in ("submit", "claim", "publish", "finish", "cancel", "purge", "reprioritise")
        }
        self._queue_keys = [rq_adapter.queue_key(name) for name in keys.QUEUE_NAMES.values()]

    def submit(self, request: Request, replay_of: str | None = None) -> Submitted:
        """Accepts a request as a durable job, maybe that of a dead letter. Raises `QueueFull`."""
        fields = rq_adapter.job_fields(
            request, self.redis, self.settings.job_timeout_s, self.settings.result_ttl_s
        ) | {"hr_tokens": request.cost_tokens}
        if replay_of is not None:
            fields["hr_replay_of"] = replay_of
        verdict, accepted, waiting = self._scripts["submit"](
            keys=[
                rq_adapter.job_key(request.id),
                rq_adapter.queue_key(keys.QUEUE_NAMES[request.priority]),
                rq_adapter.QUEUES_KEY,
                keys.DOORBELL,
                *self._queue_keys,
            ],
            args=[
                request.id,
                self.settings.queue_max_jobs,
                "" if request.deadline_s is None else request.deadline_s,
                *_flat(fields.items()),
            ],
        )
        if verdict == b"full":
            raise QueueFull(f"{waiting} jobs wait already; try again later")
        return Submitted(request.id, float(accepted), waiting)

    def claim(self, worker: str, room: Room) -> Claimed:
        """Leases waiting jobs to a worker: at most `room.slots`, costing `room.tokens` at most."""
        settings = self.settings
        claimed, expired, odd = self._scripts["claim"](
            keys=[keys.LEASES, keys.DOORBELL, *self._queue_keys],
            args=[
                worker,
                room.slots,
                room.tokens,
                settings.lease_s,
                settings.job_timeout_s + rq_adapter.HEARTBEAT_GRACE_S,
                rq_adapter.timestamp(),
                EXPIRED_ERROR,
                settings.result_ttl_s,
                settings.completion_log_max,
                *(uuid4().hex for _ in range(room.slots)),
            ],
        )
        return Claimed(
            claims=[_decode_claim(*fields) for fields in claimed],
            expired=[job_id.decode() for job_id in expired],
            odd=[(job_id.decode(), status.decode()) for job_id, status in odd],
        )

    def publish(self, publications: Sequence[Publication]) -> list[bool]:
        """Appends tokens to their streams; False where the job is no longer the worker's."""
        if not publications:
            return []
        results = self._scripts["publish"](
            args=[
                self.settings.result_ttl_s,
                *_flat(
                    (
                        item.claim.job_id,
                        item.claim.execution_id,
                        item.count,
                        json.dumps(list(item.token_ids)),
                        item.text,
                        item.age_s,
                    )
                    for item in publications
                ),
            ]
        )
        return [bool(published) for published in results]

    def finish(self, worker: str, outcomes: Sequence[Outcome]) -> list[Finished]:
        """Writes each result once, with the tokens that were not published yet."""
        if not outcomes:
            return []
        results = self._scripts["finish"](
            args=[
                rq_adapter.timestamp(),
                self.settings.result_ttl_s,
                self.settings.completion_log_max,
                rq_adapter.worker_key(worker),
                *_flat(_finish_arguments(outcome) for outcome in outcomes),
            ]
        )
        return [
            Finished(None if verdict == b"lost" else Timings.from_stamps(stamps))
            for verdict, stamps in results
        ]

    def cancel(self, job_id: str) -> bool:
        """Ends a waiting or running job; False where it had ended. Raises `JobNotFound`."""
        done = self._scripts["cancel"](
            keys=[rq_adapter.job_key(job_id)],
            args=[
                job_id,
                rq_adapter.timestamp(),
                self.settings.result_ttl_s,
                self.settings.completion_log_max,
                *keys.QUEUE_NAMES.values(),
            ],
        )
        if done < 0:
            raise JobNotFound(f"no job {job_id}")
        return bool(done)

    def reprioritise(self, job_id: str, priority: Priority) -> bool:
        """Moves a waiting job to the end of another queue; False where it no longer waits.

        Raises `JobNotFound`.
        """
        name = keys.QUEUE_NAMES[priority]
        moved = self._scripts["reprioritise"](
            keys=[rq_adapter.job_key(job_id), rq_adapter.queue_key(name), rq_adapter.QUEUES_KEY],
            args=[job_id, name, *keys.QUEUE_NAMES.values()],
        )
        if moved < 0:
            raise JobNotFound(f"no job {job_id}")
        return bool(moved)

    def purge(self, job_id: str) -> bool:
        """Removes all that is kept of an ended job; False where it waits or runs.

        Raises `JobNotFound`, also where it was purged before.
        """
        (purged,) = self.purge_many([job_id])
        if purged is None:
            raise JobNotFound(f"no job {job_id}")
        return purged

    def purge_many(self, job_ids: Sequence[str]) -> list[bool | None]:
        """The same for many; None for each that is no job."""
        purged = self._scripts["purge"](
            args=[json.dumps(list(job_ids)), *keys.QUEUE_NAMES.values()]
        )
        return [None if verdict < 0 else bool(verdict) for verdict in purged]

    def state(self, job_id: str) -> JobState:
        """Raises `JobNotFound`."""
        status, reason = self.redis.hmget(rq_adapter.job_key(job_id), ["status", "hr_reason"])
        if status is None:
            raise JobNotFound(f"no job {job_id}")
        return rq_adapter.job_state(status.decode(), (reason or b"").decode())

    def get(self, job_id: str) -> Job:
        """Raises `JobNotFound`, also for an RQ job that is not ours."""
        with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.hgetall(rq_adapter.job_key(job_id))
            pipeline.xrevrange(rq_adapter.results_key(job_id), count=1)
            for key in self._queue_keys:
                pipeline.lpos(key, job_id)
                pipeline.llen(key)
            fields, results, *places = pipeline.execute()
        if fields.get(b"origin", b"").decode() not in keys.QUEUE_NAMES.values():
            raise JobNotFound(f"no job {job_id}")
        try:
            return decode_job(fields, results[0][1] if results else {}, _position(places))
        except ValueError as problem:
            raise JobNotFound(f"no job {job_id}") from problem

    def recent(self, limit: int, state: JobState | None = None) -> list[Job]:
        """The newest jobs first, at most `limit`; those of one state if asked."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for name in keys.QUEUE_NAMES.values():
                if state in (None, JobState.QUEUED):
                    pipeline.lrange(rq_adapter.queue_key(name), -limit, -1)
                for kind in rq_adapter.registries(state):
                    pipeline.zrange(rq_adapter.registry_key(kind, name), 0, limit - 1, desc=True)
            entries = [entry for registry in pipeline.execute() for entry in registry]
        ids = {entry.split(b":")[0].decode() for entry in entries}
        jobs = [job for job in map(self._find, ids) if job and state in (None, job.state)]
        return sorted(jobs, key=lambda job: job.timings.accepted or 0.0, reverse=True)[:limit]

    def waiting(self) -> int:
        """Jobs in all queues."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for key in self._queue_keys:
                pipeline.llen(key)
            return sum(pipeline.execute())

    def wait_for_ring(self, timeout_s: float) -> None:
        """Blocks until a job is submitted, or the time is over."""
        self.redis.blpop([keys.DOORBELL], timeout=max(timeout_s, 0.001))  # 0 would be for ever

    def _find(self, job_id: str) -> Job | None:
        try:
            return self.get(job_id)
        except JobNotFound:
            return None


def _decode_claim(
    job_id: bytes,
    execution_id: bytes,
    data: bytes,
    attempt: int,
    remaining: bytes,
    entries: list[tuple[bytes, list[bytes]]],
) -> Claim:
    published = [dict(zip(fields[::2], fields[1::2], strict=True)) for _id, fields in entries]
    try:
        request, refusal = rq_adapter.decode_request(data), ""
    except ValueError as error:
        request, refusal = None, str(error)
    return Claim(
        job_id=job_id.decode(),
        execution_id=execution_id.decode(),
        attempt=attempt,
        request=request,
        refusal=refusal,
        remaining_s=float(remaining) if remaining else math.inf,
        published_ids=tuple(i for entry in published for i in json.loads(entry[b"ids"])),
        published_text="".join(entry[b"text"].decode() for entry in published),
    )


def _finish_arguments(outcome: Outcome) -> tuple[Any, ...]:
    succeeded = outcome.result is not None
    return (
        outcome.claim.job_id,
        outcome.claim.execution_id,
        "finished" if succeeded else "failed",
        outcome.reason,
        rq_adapter.encode_return_value(outcome.result) if succeeded else "",
        "" if succeeded else rq_adapter.encode_exc_string(outcome.error),
        json.dumps(asdict(outcome.report)),
        json.dumps(list(outcome.token_ids)),
        outcome.text,
        outcome.count,
        outcome.age_s,
    )


def _position(places: list[int | None]) -> int | None:
    """Jobs in front of this one; None unless it waits. `places`: (index, length) a queue."""
    ahead = 0
    for index, length in zip(places[::2], places[1::2], strict=True):
        if index is not None:
            return ahead + index
        ahead += length or 0
    return None


def _flat(rows: Iterable[Iterable[Any]]) -> list[Any]:
    return [value for row in rows for value in row]
