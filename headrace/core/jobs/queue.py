"""JobQueue: the one way in which processes change jobs. Each method is one script, so atomic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from secrets import token_hex
from typing import Any

from headrace.core.connection import Client
from headrace.core.errors import IdempotencyConflict, JobNotFound, QueueFull
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.handover import (
    EXPIRED_ERROR,
    NO_KEY,
    Claim,
    Claimed,
    Finished,
    Idempotency,
    Outcome,
    Publication,
    Replay,
    Submitted,
)
from headrace.core.jobs.job import Job, decode_job
from headrace.core.settings import Settings
from headrace.core.types import PAYLOAD_VERSION, JobState, Priority, Request, Room


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
        self, request: Request, idempotency: Idempotency = NO_KEY, replay: Replay | None = None
    ) -> Submitted:
        """Accepts a request as a durable job. Raises `QueueFull`, `IdempotencyConflict`."""
        return self._submitted(self._submit(request, idempotency, replay))

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
        expired_ids = [job_id.decode() for job_id in expired]
        return Claimed(
            claims=[Claim.decode(fields) for fields in claimed],
            expired=expired_ids,
            odd=[(job_id.decode(errors="replace"), status.decode()) for job_id, status in odd],
            is_draining=bool(is_draining),
            request_ids=rq_adapter.request_ids(self.redis, expired_ids),
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
        (state,) = self.states([job_id])
        if state is None:
            raise JobNotFound(f"no job {job_id}")
        return state

    def states(self, job_ids: Sequence[str], tenant: str | None = None) -> list[JobState | None]:
        """Of many, in one round trip; None for each that is no job, or not the tenant's."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hmget(rq_adapter.job_key(job_id), ["status", "hr_reason", "hr_tenant"])
            answers = pipeline.execute()
        return [
            _state_of(status, reason) if tenant in (None, (whose or b"default").decode()) else None
            for status, reason, whose in answers
        ]

    def get(self, job_id: str) -> Job:
        """Raises `JobNotFound`, also for an RQ job that is not ours."""
        (job,) = self.get_many([job_id])
        if job is None:
            raise JobNotFound(f"no job {job_id}")
        return job

    def get_many(self, job_ids: Sequence[str]) -> list[Job | None]:
        """All read at one moment; None for each that is no job of ours."""
        fairs = [keys.fair(name) for name in keys.QUEUE_NAMES.values()]
        with self.redis.pipeline(transaction=True) as pipeline:
            for fair in fairs:
                pipeline.zcard(fair)
            for job_id in job_ids:
                pipeline.hgetall(rq_adapter.job_key(job_id))
                pipeline.xrevrange(rq_adapter.results_key(job_id), count=1)
                for fair in fairs:
                    pipeline.zrank(fair, job_id)
            answers = iter(pipeline.execute())
        lengths = [next(answers) for _fair in fairs]
        rows = ((next(answers), next(answers), [next(answers) for _fair in fairs]) for _ in job_ids)
        return [
            _job(job_id, fields, results, _position(ranks, lengths))
            for job_id, (fields, results, ranks) in zip(job_ids, rows, strict=True)
        ]

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
                keys.idempotency(idempotency.key) if idempotency.key else "",
            ],
            args=[
                request.id,
                keys.QUEUE_NAMES[request.priority],
                settings.queue_max_jobs,
                settings.queue_max_tokens,
                "" if request.deadline_s is None else request.deadline_s,
                settings.queue_ttl_s,
                idempotency.fingerprint,
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
        return Submitted(job_id.decode(), float(accepted), waiting, verdict == b"accepted")

    def _submitted_or_full(self, answer: Sequence[Any]) -> Submitted | QueueFull:
        try:
            return self._submitted(answer)
        except QueueFull as error:
            return error


def _state_of(status: bytes | None, reason: bytes | None) -> JobState | None:
    """None for a job that is gone, or whose status RQ does not know."""
    try:
        return rq_adapter.job_state((status or b"").decode(), (reason or b"").decode())
    except (ValueError, KeyError):
        return None


def _job(
    job_id: str, fields: dict[bytes, bytes], results: Sequence[Any], position: int | None
) -> Job | None:
    """None for what is no job of ours, or cannot be read."""
    if fields.get(b"origin", b"").decode() not in keys.QUEUE_NAMES.values():
        return None
    try:
        return decode_job(job_id, fields, results[0][1] if results else {}, position)
    except (ValueError, KeyError):
        return None


def _position(ranks: Sequence[int | None], lengths: Sequence[int]) -> int | None:
    """Jobs in front of one that has this rank in one of the queues; None unless it waits."""
    ahead = 0
    for rank, length in zip(ranks, lengths, strict=True):
        if rank is not None:
            return ahead + rank
        ahead += length
    return None


def _flat(rows: Iterable[Iterable[Any]]) -> list[Any]:
    return [value for row in rows for value in row]
