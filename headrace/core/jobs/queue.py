"""JobQueue: the one way in which processes change jobs. Each method is one script, so atomic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from secrets import token_hex
from typing import Any

from redis.exceptions import OutOfMemoryError, ResponseError

from headrace.core.connection import Client
from headrace.core.errors import JobNotFound, QueueFull
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.aside import Standing, count_aside, find_aside
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
from headrace.core.jobs.job import Job, Report, decode_job
from headrace.core.jobs.pace import LONGEST_RETRY_S, UNKNOWN, Pace, Place
from headrace.core.jobs.precedence import NO_PRECEDENCE, Precedence
from headrace.core.jobs.submission import Answer, Call, Submission, in_parts
from headrace.core.settings import Settings
from headrace.core.types import (
    DEFAULT_TENANT,
    PAYLOAD_VERSION,
    JobState,
    Priority,
    Request,
    Room,
)

SCRIPTS = ("submit", "claim", "publish", "finish", "cancel", "purge", "reprioritise", "list")


class JobQueue:
    """Submits, claims, publishes, finishes and reads jobs.

    `redis` must return bytes. Every method raises `redis.exceptions.RedisError` when the server is
    away; all of them may be called again then: none does its work twice. Jobs of a claim whose
    answer was lost stay leased until the lease ends, and are redelivered then.
    """

    def __init__(self, redis: Client, settings: Settings) -> None:
        self.redis = redis
        self.settings = settings
        self._scripts = {name: rq_adapter.load_script(redis, name, settings) for name in SCRIPTS}
        self._constant_fields = rq_adapter.constant_fields(redis, settings)
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
        return self.send(Submission([request], idempotency, replay, quota=quota))[0]

    def submit_all(
        self,
        requests: Sequence[Request],
        idempotency: Idempotency = NO_KEY,
        pace: Pace = UNKNOWN,
        quota: Quota = NO_QUOTA,
    ) -> list[Submitted]:
        """Accepts all of the requests or none, in their order; `idempotency` names the whole list.

        Raises as `submit` does, and `DeadlineUnmeetable` where that follows from the `pace`.
        """
        return self.send(Submission(requests, idempotency, pace=pace, quota=quota))

    def submit_many(self, requests: Sequence[Request]) -> list[Submitted | QueueFull]:
        """Accepts each request or says that there was no room for it, `MOST_AT_ONCE` a call."""
        answers = self.send_many([self.prepare(Submission([request])) for request in requests])
        return list(map(_submitted_or_full, answers))

    def send(self, submission: Submission) -> list[Submitted]:
        """What became of its requests. Raises as `Submission.result` does."""
        [answer] = self.send_many([self.prepare(submission)])
        return answer.submitted()

    def prepare(self, submission: Submission) -> Call:
        """All of the work for it that needs no server."""
        arguments = submission.script_arguments(self.settings)
        return Call(submission, submission.script_keys(), arguments)

    def send_many(self, calls: Sequence[Call]) -> list[Answer]:
        """The answer to each, `MOST_AT_ONCE` jobs a round trip."""
        answers: list[Answer] = []
        for together in in_parts(calls):
            pairs = zip(together, self._call_submit(together), strict=True)
            answers += [Answer(call.submission, said, self.settings) for call, said in pairs]
        return answers

    def claim(
        self,
        worker: str,
        room: Room,
        precedence: Precedence = NO_PRECEDENCE,
        card_hash: str = "",
    ) -> Claimed:
        """Leases waiting jobs to a worker: at most `room.slots`, costing `room.tokens` at most.

        Interactive jobs may take what yields to them in addition (`precedence`). Jobs of other
        cards than `card_hash` are set aside; "" claims jobs of any card, but none set aside.
        """
        claimed, expired, odd, is_draining, aside = self._scripts["claim"](
            args=[
                worker,
                room.slots,
                room.tokens,
                *precedence.arguments(),
                PAYLOAD_VERSION,
                rq_adapter.timestamp(),
                EXPIRED_ERROR,
                card_hash,
                *(token_hex(16) for _ in range(room.slots + precedence.yielded.slots)),
            ],
        )
        expired_ids = [job_id.decode() for job_id in expired]
        return Claimed(
            claims=[Claim.decode(fields) for fields in claimed],
            expired=expired_ids,
            odd=[(job_id.decode(errors="replace"), status.decode()) for job_id, status in odd],
            is_draining=bool(is_draining),
            request_ids=rq_adapter.request_ids(self.redis, expired_ids),
            set_aside=Counter(model.decode() for model, _one in aside),
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

    def cancel(self, job_id: str, reason: str = rq_adapter.CANCELLED) -> bool:
        """Ends a waiting or running job; False where it had ended. Raises `JobNotFound`."""
        done = self._scripts["cancel"](
            keys=[rq_adapter.job_key(job_id)], args=[job_id, rq_adapter.timestamp(), reason]
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

    def states(self, job_ids: Sequence[str]) -> list[JobState | None]:
        """Of many, in one round trip; None for each that is no job."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hmget(rq_adapter.job_key(job_id), ["status", "hr_reason"])
            return [_state_of(*answer) for answer in pipeline.execute()]

    def listed(
        self, newest: float, count: int, tenant: str | None = None
    ) -> tuple[list[tuple[float, str, JobState | None]], float | None]:
        """Looks at the jobs accepted at `newest` (Redis TIME, s) and at `count` before those.

        Returns time, id and state of each, or of each of one tenant, the newest first; and the time
        of the oldest that was looked at, None where there is none before it.
        """
        found, oldest = self._scripts["list"](args=[newest, count, tenant or ""])
        jobs = [
            (float(accepted), job_id.decode(), _state_of(status, reason))
            for accepted, job_id, status, reason in found
        ]
        return jobs, float(oldest) if oldest else None

    def tenant_of(self, job_id: str) -> str:
        """Whose job it is. Raises `JobNotFound`."""
        status, tenant = self.redis.hmget(rq_adapter.job_key(job_id), ["status", "hr_tenant"])
        if status is None:
            raise JobNotFound(f"no job {job_id}")
        return _tenant(tenant)

    def reports(self, job_ids: Sequence[str]) -> list[Report | None]:
        """Reads workers' reports of ended jobs; None for each that is gone or that none ended."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hget(rq_adapter.job_key(job_id), "hr_report")
            return [Report.decode(text) for text in pipeline.execute()]

    def get(self, job_id: str) -> Job:
        """Raises `JobNotFound`, also for an RQ job that is not ours."""
        (job,) = self.get_many([job_id])
        if job is None:
            raise JobNotFound(f"no job {job_id}")
        return job

    def get_many(self, job_ids: Sequence[str]) -> list[Job | None]:
        """All read at one moment; None for each that is no job of ours."""
        names = list(keys.QUEUE_NAMES.values())
        with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.zcard(keys.LEASES)
            pipeline.hexists(keys.PACE, "full_since")
            for name in names:
                pipeline.zcard(keys.fair(name))
                pipeline.hget(keys.share(name), "tokens")
            for job_id in job_ids:
                pipeline.hgetall(rq_adapter.job_key(job_id))
                pipeline.xrevrange(rq_adapter.results_key(job_id), count=1)
                for name in names:
                    pipeline.zrank(keys.fair(name), job_id)
            answers = iter(pipeline.execute())
        running, is_full = next(answers), bool(next(answers))
        queues = [(next(answers), float(next(answers) or 0)) for _name in names]
        rows = [(next(answers), next(answers), [next(answers) for _name in names]) for _ in job_ids]
        found = list(zip(job_ids, rows, strict=True))
        lost = {job_id: row[0] for job_id, row in found if _may_be_aside(row[0], row[2])}
        share = self.settings.guaranteed_share
        aside = find_aside(self.redis, lost, running, is_full, share)
        return [
            _job(
                job_id,
                fields,
                results,
                aside.get(job_id) or Standing(Place.of(ranks, queues, running, is_full, share)),
            )
            for job_id, (fields, results, ranks) in found
        ]

    def waiting(self) -> int:
        """Jobs in all queues, and those set aside."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for key in self._queue_keys:
                pipeline.llen(key)
            queued: int = sum(pipeline.execute())
        return queued + self.set_aside()

    def set_aside(self) -> int:
        """Jobs that were set aside for a worker of their card."""
        return count_aside(self.redis)

    def require_writes(self) -> None:
        """Raises `RedisError` where the server accepts no jobs: it is away, or refuses writes."""
        self.redis.lpushx(keys.NOTHING, "")  # refused as every write, and writes nothing
        self._run_submit([], [])  # its user may lack the right to run scripts

    def wait_for_ring(self, timeout_s: float, card_hash: str = "") -> None:
        """Blocks until a job is submitted or set aside for this card, or the time is over."""
        bells = [keys.DOORBELL, keys.bell(card_hash)]
        self.redis.blpop(bells, timeout=max(timeout_s, 0.001))  # 0 would be for ever

    def _call_submit(self, calls: Sequence[Call]) -> list[Any]:
        shared = self._constant_fields + rq_adapter.moment_fields()
        try:
            answers = self._run_submit(calls, shared)
        except ResponseError as error:
            if str(error).startswith("OOM"):
                raise OutOfMemoryError(str(error)) from error
            raise
        return answers

    def _run_submit(self, calls: Sequence[Call], shared: Sequence[Any]) -> list[Any]:
        answers: list[Any] = self._scripts["submit"](
            keys=[rq_adapter.QUEUES_KEY, *_flat(call.keys for call in calls)],
            args=[
                self.settings.queue_max_jobs,
                self.settings.queue_max_tokens,
                self.settings.queue_ttl_s,
                LONGEST_RETRY_S,
                self.settings.guaranteed_share,
                len(shared),
                *shared,
                *_flat(call.arguments for call in calls),
            ],
        )
        return answers


def _submitted_or_full(answer: Answer) -> Submitted | QueueFull:
    try:
        return answer.submitted()[0]
    except QueueFull as error:
        return error


def _state_of(status: bytes | None, reason: bytes | None) -> JobState | None:
    """None for a job that is gone, or whose status RQ does not know."""
    try:
        return rq_adapter.job_state((status or b"").decode(), (reason or b"").decode())
    except (ValueError, KeyError):
        return None


def _tenant(field: bytes | None) -> str:
    """Jobs of stock RQ name none."""
    return field.decode() if field else DEFAULT_TENANT


def _job(
    job_id: str, fields: dict[bytes, bytes], results: Sequence[Any], standing: Standing
) -> Job | None:
    """None for what is no job of ours, or cannot be read."""
    if fields.get(b"origin", b"").decode() not in keys.QUEUE_NAMES.values():
        return None
    try:
        return decode_job(job_id, fields, results[0][1] if results else {}, standing)
    except (ValueError, KeyError):
        return None


def _may_be_aside(fields: dict[bytes, bytes], ranks: Sequence[int | None]) -> bool:
    """Whether a job waits and stands in no queue."""
    is_queued = _state_of(fields.get(b"status"), None) is JobState.QUEUED
    return is_queued and b"hr_card" in fields and all(rank is None for rank in ranks)


def _flat(rows: Iterable[Iterable[Any]]) -> list[Any]:
    return [value for row in rows for value in row]
