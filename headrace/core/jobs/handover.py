"""What the queue and its callers hand each other, and how it crosses into the scripts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self

from rq import Queue

from headrace.core.jobs import rq_adapter
from headrace.core.jobs.job import Report, Timings
from headrace.core.jobs.logprobs import decode_logprobs, encode_logprobs
from headrace.core.jobs.pace import Place
from headrace.core.types import JobState, Request, TokenLogprobs

EXPIRED_ERROR = rq_adapter.encode_exc_string("its time was over before a worker was free")


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A caller's key for what was asked in one go: while its jobs are kept it names them.

    `fingerprint` tells whether the same was asked: a digest of what the caller sent, since a
    request that was drawn from it may differ (its seed).
    """

    key: str = ""
    fingerprint: str = ""


NO_KEY = Idempotency()


@dataclass(frozen=True, slots=True)
class Quota:
    """What a tenant may have in hand, waiting and running; None: as much as the queue takes.

    `queue_share` is its part of the queue's bounds in jobs and tokens.
    """

    running_jobs: int | None = None
    queue_share: float | None = None


NO_QUOTA = Quota()


@dataclass(frozen=True, slots=True)
class Replay:
    """The dead letter `of` which a new job asks again.

    The workers that died of it count on: what killed some runs alone from the start.
    """

    of: str
    deaths: int


@dataclass(frozen=True, slots=True)
class Submitted:
    """`job_id` is the job's, whatever the id of its request; `accepted` is Redis TIME.

    `place` is where it stood then; None for a job that had been accepted before.
    """

    job_id: str
    accepted: float
    place: Place | None = None

    @property
    def is_new(self) -> bool:
        return self.place is not None


class Claim(NamedTuple):
    """A job leased to one worker. `execution_id` is the fencing token of this attempt.

    It is a tuple, as `Report` and `Timings` are: each is made once a job, in a third of the time.

    `published_ids`, `published_text` and `published_logprobs` are what earlier attempts streamed:
    the truth to go on from.
    `request` is None for a job that cannot be run; `refusal` then says why. `remaining_s` is the
    time to its deadline, `timeout_s` how long it may run. One that `is_alone` is suspected of
    killing its workers: nothing may run beside it. `preemptions` counts how often it has made room
    for interactive work.
    """

    job_id: str
    execution_id: str
    attempt: int
    request: Request | None
    refusal: str = ""
    remaining_s: float = math.inf
    timeout_s: float = math.inf
    published_ids: tuple[int, ...] = ()
    published_text: str = ""
    published_logprobs: tuple[TokenLogprobs, ...] = ()
    is_alone: bool = False
    preemptions: int = 0

    @classmethod
    def decode(cls, fields: Sequence[Any]) -> Self:
        """From what `claim.lua` returns for a job."""
        job_id, execution_id, data, attempt, remaining, entries, *rest = fields
        queue, timeout, is_alone, foreign, preemptions = rest
        token_ids, text, logprobs = _published(entries) if entries else NOTHING
        request, refusal = _readable(job_id.decode(), data, queue.decode(), foreign.decode())
        return cls(
            job_id=job_id.decode(),
            execution_id=execution_id.decode(),
            attempt=attempt,
            request=request,
            refusal=refusal,
            remaining_s=float(remaining) if remaining else math.inf,
            timeout_s=_seconds(timeout),
            published_ids=token_ids,
            published_text=text,
            published_logprobs=logprobs,
            is_alone=bool(is_alone),
            preemptions=int(preemptions),
        )


Published = tuple[tuple[int, ...], str, tuple[TokenLogprobs, ...]]
"""The tokens that earlier attempts streamed, their text and their logprobs."""

NOTHING: Published = ((), "", ())


def _published(entries: Sequence[Any]) -> Published:
    """Reads a job's stream."""
    fields = [dict(zip(entry[::2], entry[1::2], strict=True)) for _place, entry in entries]
    return (
        tuple(token_id for entry in fields for token_id in json.loads(entry[b"ids"])),
        "".join(entry[b"text"].decode() for entry in fields),
        tuple(one for entry in fields for one in decode_logprobs(entry.get(b"logprobs"))),
    )


def _seconds(timeout: bytes) -> float:
    """A job's time-out as RQ writes it."""
    try:
        seconds = float(timeout or Queue.DEFAULT_TIMEOUT)
    except ValueError:
        seconds = float(Queue.DEFAULT_TIMEOUT)
    return math.inf if seconds < 0 else seconds


def _readable(job_id: str, data: bytes, queue: str, foreign: str) -> tuple[Request | None, str]:
    """The request, or why there is none. Callbacks would run code that Redis names."""
    if foreign:
        return None, f"a job with {foreign} is not run here"
    try:
        return rq_adapter.decode_request(job_id, data, queue), ""
    except ValueError as error:
        return None, str(error)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one claim brought: jobs to run, and ids that ended or turned out odd on the way.

    A worker that `is_draining` gets nothing until its flag is taken back. `request_ids` are those
    of the HTTP requests which brought the expired jobs, where known. `set_aside` counts the jobs of
    other cards by their models.
    """

    claims: list[Claim]
    expired: list[str]
    odd: list[tuple[str, str]]
    is_draining: bool = False
    request_ids: dict[str, str] = field(default_factory=dict)
    set_aside: Mapping[str, int] = field(default_factory=dict)


def _encode_ids(token_ids: Sequence[int]) -> str:
    """As JSON."""
    return f"[{','.join(map(str, token_ids))}]"


@dataclass(frozen=True, slots=True)
class Publication:
    """New tokens of a running job; `count` tokens exist up to and with these.

    `logprobs` has one entry a token where the request asked for them.
    """

    claim: Claim
    count: int
    token_ids: Sequence[int]
    text: str
    age_s: float
    logprobs: Sequence[TokenLogprobs] = ()

    def arguments(self, late_s: float) -> tuple[Any, ...]:
        """As `publish.lua` wants them, handed over `late_s` after they were made."""
        return (
            self.claim.job_id,
            self.claim.execution_id,
            self.count,
            _encode_ids(self.token_ids),
            self.text,
            self.age_s + late_s,
            encode_logprobs(self.logprobs),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended: with a `result`, or with a `reason` and an `error` text.

    `is_dead` marks a dead letter. `retry_share` is set for an error that may pass: the part of the
    retry interval to wait.
    """

    claim: Claim
    report: Report
    count: int
    token_ids: Sequence[int] = ()
    text: str = ""
    logprobs: Sequence[TokenLogprobs] = ()
    age_s: float = 0.0
    result: dict[str, Any] | None = None
    reason: str = ""
    error: str = ""
    is_dead: bool = False
    is_stopped: bool = False
    retry_share: float | None = None

    @property
    def state(self) -> JobState:
        if self.result is not None:
            return JobState.SUCCEEDED
        return rq_adapter.job_state(self._status, self.reason)

    @property
    def _status(self) -> str:
        if self.result is not None:
            return "finished"
        return "stopped" if self.is_stopped else "failed"

    def arguments(self, late_s: float) -> tuple[Any, ...]:
        """As `finish.lua` wants them, handed over `late_s` after it was made."""
        succeeded = self.result is not None
        return (
            self.claim.job_id,
            self.claim.execution_id,
            self._status,
            self.reason,
            rq_adapter.encode_return_value(self.result) if succeeded else "",
            "" if succeeded else rq_adapter.encode_exc_string(self.error),
            self.report.encode(),
            _encode_ids(self.token_ids),
            self.text,
            self.count,
            self.age_s + late_s,
            int(self.is_dead),
            "" if self.retry_share is None else self.retry_share,
            encode_logprobs(self.logprobs),
        )


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a handed-in outcome.

    `mine` is one that had been written before: its answer got lost. `lost` means that the job was
    another's by then and nothing was written; only written ones have `timings`.
    """

    verdict: Literal["written", "mine", "retried", "lost"]
    timings: Timings | None = None

    @classmethod
    def decode(cls, verdict: bytes, stamps: Sequence[bytes]) -> Self:
        return cls(verdict.decode(), Timings.from_stamps(stamps) if stamps else None)  # type: ignore[arg-type]
