"""The dead letters: looked at, replayed as new jobs, or purged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from uuid import UUID, uuid4, uuid5

from headrace.core.errors import JobNotFound, NotReplayable, WrongState
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.dead_letter import DeadLetter, decode_dead_letter
from headrace.core.jobs.handover import NO_QUOTA, Quota, Replay, Submitted
from headrace.core.jobs.queue import JobQueue
from headrace.core.jobs.rates import NO_RATES, Rates
from headrace.core.jobs.submission import Submission
from headrace.core.types import JobState, Request

PAGE = 100
"""Letters read or purged in one round trip."""

REPLAYS = UUID("6b1c4b0e-5f0c-4d3e-9a52-0d9c6f3f7a11")
"""Namespace of the ids of replays."""


class DeadLetters:
    """Failed jobs whose ids stand in `keys.DEAD`.

    One that `rq requeue` brought back is none while it lives again. Every method raises
    `redis.exceptions.RedisError` when the server is away; all of them may be called again then.
    `send` hands a replay to the queue; without it the queue does itself.
    """

    def __init__(
        self, queue: JobQueue, send: Callable[[Submission], list[Submitted]] | None = None
    ) -> None:
        self._queue = queue
        self._redis = queue.redis
        self._send = send or queue.send
        self._mark_replayed = rq_adapter.load_script(queue.redis, "mark_replayed", queue.settings)

    def list(self, limit: int, tenant: str | None = None) -> Sequence[DeadLetter]:
        """The newest first, at most `limit`; those of one tenant if asked."""
        return [*islice(self._all(tenant), limit)]

    def get(self, job_id: str) -> DeadLetter:
        """Raises `JobNotFound` where no dead letter has this id."""
        for letter in self._read([job_id]):
            return letter
        raise JobNotFound(f"no dead letter {job_id}")

    def replay(
        self, job_id: str, force: bool = False, quota: Quota = NO_QUOTA, rates: Rates = NO_RATES
    ) -> Submitted:
        """Submits the same request as a new job, its deadline counted from now.

        The new id follows from the dead letter's id and end: a replay that is repeated, because its
        answer got lost or two callers ask at once, finds the job that the first one made. The dead
        letter stays, and names that job. With `force` every call makes a job of its own.

        Raises `JobNotFound`, `NotReplayable`, `QueueFull`, `LimitExceeded`.
        """
        letter = self.get(job_id)
        new_id = uuid4().hex if force else letter.replayed_as or _replay_id(letter)
        request = replace(self._runnable(letter), id=new_id)
        replay = Replay(job_id, min(letter.deaths, rq_adapter.SUSPECT_DEATHS))
        [submitted] = self._send(Submission([request], replay=replay, quota=quota, rates=rates))
        # Second, so that a full queue leaves no letter that names a job which never was.
        self._mark_replayed(keys=[rq_adapter.job_key(job_id)], args=[new_id, _stamp(letter)])
        return submitted

    def purge(self, job_id: str) -> None:
        """Removes one with its prompt. Raises `JobNotFound`, `WrongState` where it lives again."""
        self.get(job_id)
        if not self._queue.purge(job_id):
            raise WrongState(f"job {job_id} waits or runs again")

    def purge_all(self, older_than_s: float = 0, tenant: str | None = None) -> int:
        """Removes those, or those of one tenant, that have been dead for so long; says how many."""
        seconds, microseconds = self._redis.time()
        newest = seconds + microseconds / 1e6 - older_than_s
        old = [letter.job_id for letter in self._all(tenant) if letter.ended <= newest]
        pages = (old[start : start + PAGE] for start in range(0, len(old), PAGE))
        return sum(self._queue.purge_many(page).count(True) for page in pages)

    def _all(self, tenant: str | None) -> Iterator[DeadLetter]:
        ids = self._redis.zrange(keys.DEAD, 0, -1, desc=True)
        for start in range(0, len(ids), PAGE):
            letters = self._read([job_id.decode() for job_id in ids[start : start + PAGE]])
            yield from (letter for letter in letters if tenant in (None, letter.tenant))

    def _read(self, job_ids: Sequence[str]) -> Iterator[DeadLetter]:
        """Those of the ids that are dead letters, in the same order."""
        with self._redis.pipeline(transaction=True) as pipeline:
            for job_id in job_ids:
                pipeline.hgetall(rq_adapter.job_key(job_id))
                pipeline.xrevrange(rq_adapter.results_key(job_id), count=1)
                pipeline.zscore(keys.DEAD, job_id)
            answers = pipeline.execute()
        for job_id, fields, results, forgotten in zip(
            job_ids, answers[::3], answers[1::3], answers[2::3], strict=True
        ):
            if forgotten is not None and _is_dead(fields):
                ending = results[0][1] if results else {}
                yield decode_dead_letter(job_id, fields, ending, forgotten)

    def _runnable(self, letter: DeadLetter) -> Request:
        """Returns its request, where a worker can run it.

        A replay is a new request, and new requests are for a model that is served: one of another
        card would be set aside, and expire there unless its model came back in time.
        """
        if letter.request is None:
            raise NotReplayable(f"{letter.job_id}: its request cannot be read: {letter.error}")
        card_hash = self._redis.hget(keys.CARD, "hash")
        is_current = card_hash is None or card_hash.decode() == letter.request.card_hash
        if not is_current and not self._redis.exists(keys.serving(letter.request.card_hash)):
            raise NotReplayable(
                f"{letter.job_id}: tokenised for another model ({letter.request.model!r}) "
                "than is served now"
            )
        return letter.request


def _is_dead(fields: Mapping[bytes, bytes]) -> bool:
    """False for one that was deleted, or brought back: its id stays until it is claimed."""
    state = fields.get(b"status") and rq_adapter.job_state(fields[b"status"].decode())
    return state is JobState.FAILED and b"hr_committed" in fields


def _replay_id(letter: DeadLetter) -> str:
    """One id for each time that a job died: `rq requeue` may let it live and die again."""
    return uuid5(REPLAYS, f"{letter.job_id} {_stamp(letter)}").hex


def _stamp(letter: DeadLetter) -> str:
    """Its end as the scripts wrote it."""
    return f"{letter.ended:.6f}"
