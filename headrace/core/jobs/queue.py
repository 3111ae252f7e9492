"""JobQueue: the one way in which processes change jobs. Each method is one script, so atomic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from secrets import token_hex
from typing import Any

from headrace.core.connection import Client
from headrace.core.errors import IdempotencyConflict, JobNotFound, LimitExceeded, QueueFull
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.handover import (
    EXPIRED_ERROR,
    NO_KEY,
    NO_QUOTA,
    Claim,
    Claimed,
    Finished,
    Idempotency,
    Outcome,
    Publication,
    Quota,
    Replay,
    Submitted,
)
from headrace.core.jobs.job import Job, decode_job
from headrace.core.settings import Settings
from headrace.core.types import (
    DEFAULT_TENANT,
    PAYLOAD_VERSION,
    JobState,
    Priority,
    Request,
    Room,
)

PAGE = 200
"""Ids of a queue or registry that are read, and looked at, in one round trip."""

BROKEN = {
    b"running_jobs": "as many jobs as this key allows wait and run already; try again later",
    b"queue_share": "this key's share of the queue is full; try again later",
}
"""Verdicts of a quota."""


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

    def submit(
        self,
        request: Request,
        idempotency: Idempotency = NO_KEY,
        replay: Replay | None = None,
        quota: Quota = NO_QUOTA,
    ) -> Submitted:
        """Accepts a request as a durable job.

        Raises `QueueFull`, `IdempotencyConflict`, `LimitExceeded` where its tenant has its quota.
        """
        return self._submitted(self._submit(request, idempotency, replay, quota))

    def submit_many(self, requests: Sequence[Request]) -> list[Submitted | QueueFull]:
        """Accepts each request or says that there was no room for it, in one round trip."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for request in requests:
                self._submit(request, client=pipeline)
            answers = pipeline.execute()
        return [self._submitted_or_full(answer) for answer in answers]

    def claim(self, worker: str, room: Room, batch_room: Room | None = None) -> Claimed:
        """Leases waiting jobs to a worker: at most `room.slots`, costing `room.tokens` at most.

        Of these batch work gets `batch_room` at most; None: all of it.
        """
        settings, batch_room = self.settings, batch_room or room
        claimed, expired, odd, is_draining = self._scripts["claim"](
            args=[
                worker,
                room.slots,
                room.tokens,
                batch_room.slots,
                batch_room.tokens,
                PAYLOAD_VERSION,
                settings.priority_step_s,
                rq_adapter.timestamp(),
                EXPIRED_ERROR,
                *(token_hex(16) for _ in range(room.slots)),
            ],
        )
        return Claimed(
            claims=[Claim.decode(fields) for fields in claimed],
            expired=[job_id.decode() for job_id in expired],
            odd=[(job_id.decode(errors="replace"), status.decode()) for job_id, status in odd],
            is_draining=bool(is_draining),
        )

    def publish(self, publications: Sequence[Publication], late_s: float = 0.0) -> list[bool]:
        """Appends tokens to their streams; False where the job is no longer the worker's.

        `late_s` is how long ago the publications were made.
        """
        if not publications:
            return []
        results = self._scripts["publish"](
            args=_flat(item.arguments(late_s) for item in publications)
        )
        return [bool(published) for published in results]

    def finish(
        self, worker: str, outcomes: Sequence[Outcome], late_s: float = 0.0
    ) -> list[Finished]:
        """Writes each result once, with the tokens that were not published yet.

        `late_s` is how long ago the outcomes were made.
        """
        if not outcomes:
            return []
        results, has_dependents = self._scripts["finish"](
            args=[
                rq_adapter.timestamp(),
                rq_adapter.worker_key(worker),
                *_flat(outcome.arguments(late_s) for outcome in outcomes),
            ]
        )
        if has_dependents:
            rq_adapter.enqueue_dependents(self.redis)
        return [Finished.decode(verdict, stamps) for verdict, stamps in results]

    def cancel(self, job_id: str) -> bool:
        """Ends a waiting or running job; False where it had ended. Raises `JobNotFound`."""
        done = self._scripts["cancel"](
            keys=[rq_adapter.job_key(job_id)], args=[job_id, rq_adapter.timestamp()]
        )
        if done < 0:
            raise JobNotFound(f"no job {job_id}")
        return bool(done)

    def reprioritise(self, job_id: str, priority: Priority) -> bool:
        """Moves a waiting job to the end of another queue; False where it no longer waits.

        Raises `JobNotFound`.
        """
        moved = self._scripts["reprioritise"](
            keys=[rq_adapter.job_key(job_id), rq_adapter.QUEUES_KEY],
            args=[job_id, keys.QUEUE_NAMES[priority]],
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
        purged = self._scripts["purge"](args=job_ids)
        return [None if verdict < 0 else bool(verdict) for verdict in purged]

    def state(self, job_id: str) -> JobState:
        """Raises `JobNotFound`."""
        status, reason = self.redis.hmget(rq_adapter.job_key(job_id), ["status", "hr_reason"])
        if status is None:
            raise JobNotFound(f"no job {job_id}")
        return rq_adapter.job_state(status.decode(), (reason or b"").decode())

    def tenant_of(self, job_id: str) -> str:
        """Whose job it is. Raises `JobNotFound`."""
        status, tenant = self.redis.hmget(rq_adapter.job_key(job_id), ["status", "hr_tenant"])
        if status is None:
            raise JobNotFound(f"no job {job_id}")
        return _tenant(tenant)

    def get(self, job_id: str) -> Job:
        """Raises `JobNotFound`, also for an RQ job that is not ours."""
        with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.hgetall(rq_adapter.job_key(job_id))
            pipeline.xrevrange(rq_adapter.results_key(job_id), count=1)
            for name in keys.QUEUE_NAMES.values():
                pipeline.zrank(keys.fair(name), job_id)
                pipeline.zcard(keys.fair(name))
            fields, results, *places = pipeline.execute()
        if fields.get(b"origin", b"").decode() not in keys.QUEUE_NAMES.values():
            raise JobNotFound(f"no job {job_id}")
        try:
            return decode_job(job_id, fields, results[0][1] if results else {}, _position(places))
        except ValueError as problem:
            raise JobNotFound(f"no job {job_id}") from problem

    def recent(
        self, limit: int, state: JobState | None = None, tenant: str | None = None
    ) -> list[Job]:
        """The newest jobs first, at most `limit`; those of one state or tenant if asked."""
        found: dict[str, Job] = {}
        for ids in self._places(state, tenant):
            # `state` again: a job may have moved on since its page was read.
            jobs = (job for job in map(self._find, ids) if job and state in (None, job.state))
            found |= {job.id: job for job in islice(jobs, limit)}
        jobs_by_age = sorted(found.values(), key=lambda job: job.timings.accepted or 0.0)
        return jobs_by_age[::-1][:limit]

    def waiting(self) -> int:
        """Jobs in all queues."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for key in self._queue_keys:
                pipeline.llen(key)
            return sum(pipeline.execute())

    def wait_for_ring(self, timeout_s: float) -> None:
        """Blocks until a job is submitted, or the time is over."""
        self.redis.blpop([keys.DOORBELL], timeout=max(timeout_s, 0.001))  # 0 would be for ever

    def _submit(
        self,
        request: Request,
        idempotency: Idempotency = NO_KEY,
        replay: Replay | None = None,
        quota: Quota = NO_QUOTA,
        client: Client = None,
    ) -> Any:
        """The script's answer; nothing yet where `client` is a pipeline."""
        settings = self.settings
        fields = rq_adapter.job_fields(request, self.redis, settings)
        if replay is not None:
            fields |= {"hr_replay_of": replay.of, "hr_deaths": replay.deaths}
        return self._scripts["submit"](
            keys=[
                rq_adapter.job_key(request.id),
                rq_adapter.QUEUES_KEY,
                keys.idempotency(request.tenant, idempotency.key) if idempotency.key else "",
            ],
            args=[
                request.id,
                keys.QUEUE_NAMES[request.priority],
                settings.queue_max_jobs,
                settings.queue_max_tokens,
                "" if request.deadline_s is None else request.deadline_s,
                settings.queue_ttl_s,
                idempotency.fingerprint,
                request.tenant,
                *_bounds(quota, settings),
                *_flat(fields.items()),
            ],
            client=client,
        )

    def _submitted(self, answer: Sequence[Any]) -> Submitted:
        verdict, job_id, accepted, waiting, tokens = answer
        if verdict == b"full":
            raise QueueFull(f"{waiting} jobs with {tokens} tokens wait already; try again later")
        if verdict == b"conflict":
            raise IdempotencyConflict(
                f"this Idempotency-Key was used for another request: job {job_id.decode()}"
            )
        if verdict in BROKEN:
            raise LimitExceeded(BROKEN[verdict], verdict.decode())
        return Submitted(job_id.decode(), float(accepted), waiting, verdict == b"accepted")

    def _submitted_or_full(self, answer: Sequence[Any]) -> Submitted | QueueFull:
        try:
            return self._submitted(answer)
        except QueueFull as error:
            return error

    def _places(self, state: JobState | None, tenant: str | None) -> Iterator[Iterator[str]]:
        """Of each queue and registry in which jobs of the state may stand: their ids."""
        for name in keys.QUEUE_NAMES.values():
            if state in (None, JobState.QUEUED):
                pages = self._queue_pages(rq_adapter.queue_key(name))
                yield self._ids_of(pages, state, tenant)
            for kind in rq_adapter.registries(state):
                pages = self._registry_pages(rq_adapter.registry_key(kind, name))
                yield self._ids_of(pages, state, tenant)

    def _ids_of(
        self, pages: Iterable[list[str]], state: JobState | None, tenant: str | None
    ) -> Iterator[str]:
        """Those of the state and tenant: a registry of RQ may hold jobs of several."""
        is_wanted_as_it_is = state is None and tenant is None
        for ids in pages:
            yield from ids if is_wanted_as_it_is else self._matching(ids, state, tenant)

    def _matching(
        self, ids: Sequence[str], state: JobState | None, tenant: str | None
    ) -> list[str]:
        with self.redis.pipeline(transaction=False) as pipeline:
            for job_id in ids:
                pipeline.hmget(rq_adapter.job_key(job_id), ["status", "hr_reason", "hr_tenant"])
            answers = pipeline.execute()
        return [
            job_id
            for job_id, (status, reason, owner) in zip(ids, answers, strict=True)
            if state in (None, _state_of(status, reason)) and tenant in (None, _tenant(owner))
        ]

    def _queue_pages(self, key: str) -> Iterator[list[str]]:
        """A page at a time, the newest first."""
        for start in count(0, PAGE):
            entries = self.redis.lrange(key, -(start + PAGE), -(start + 1))
            if not entries:
                return
            yield [entry.decode() for entry in reversed(entries)]

    def _registry_pages(self, key: str) -> Iterator[list[str]]:
        """A page at a time, the newest first."""
        for start in count(0, PAGE):
            entries = self.redis.zrange(key, start, start + PAGE - 1, desc=True)
            if not entries:
                return
            # RQ adds the execution to the id of a job that runs.
            yield [entry.split(b":")[0].decode() for entry in entries]

    def _find(self, job_id: str) -> Job | None:
        try:
            return self.get(job_id)
        except JobNotFound:
            return None


def _state_of(status: bytes | None, reason: bytes | None) -> JobState | None:
    """None for a job that is gone, or whose status RQ does not know."""
    try:
        return rq_adapter.job_state((status or b"").decode(), (reason or b"").decode())
    except ValueError:
        return None


def _tenant(field: bytes | None) -> str:
    """Jobs of stock RQ name none."""
    return field.decode() if field else DEFAULT_TENANT


def _bounds(quota: Quota, settings: Settings) -> tuple[int | str, ...]:
    """As `submit.lua` wants them: most jobs, then the share of the queue in jobs and tokens."""
    most_jobs = "" if quota.running_jobs is None else quota.running_jobs
    if quota.queue_share is None:
        return most_jobs, "", ""
    bounds = settings.queue_max_jobs, settings.queue_max_tokens
    # One job at least: a share that takes none would be no share.
    return most_jobs, *(max(1, int(quota.queue_share * bound)) for bound in bounds)


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
