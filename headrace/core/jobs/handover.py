"""What the queue and its callers hand each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headrace.core.jobs.job import Report, Timings
from headrace.core.jobs.rq_adapter import EXPIRED
from headrace.core.types import JobState, Request


@dataclass(frozen=True, slots=True)
class Submitted:
    """`waiting` jobs stood in the queues before this one; `accepted` is Redis TIME."""

    job_id: str
    accepted: float
    waiting: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A job leased to one worker. `execution_id` is the fencing token of this attempt.

    `published_ids` and `published_text` are what earlier attempts streamed: the truth to go on
    from.
    `request` is None for a job that cannot be read; `refusal` then says why. `remaining_s` is the
    time to its deadline.
    """

    job_id: str
    execution_id: str
    attempt: int
    request: Request | None
    refusal: str = ""
    remaining_s: float = math.inf
    published_ids: tuple[int, ...] = ()
    published_text: str = ""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one claim brought: jobs to run, and ids that ended or turned out odd on the way."""

    claims: list[Claim]
    expired: list[str]
    odd: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Publication:
    """New tokens of a running job; `count` tokens exist up to and with these."""

    claim: Claim
    count: int
    token_ids: Sequence[int]
    text: str
    age_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended: with a `result`, or with a `reason` and an `error` text."""

    claim: Claim
    report: Report
    count: int
    token_ids: Sequence[int] = ()
    text: str = ""
    age_s: float = 0.0
    result: dict[str, Any] | None = None
    reason: str = ""
    error: str = ""

    @property
    def state(self) -> JobState:
        if self.result is not None:
            return JobState.SUCCEEDED
        return JobState.EXPIRED if self.reason == EXPIRED else JobState.FAILED


@dataclass(frozen=True, slots=True)
class Finished:
    """`timings` is None where the job was another's by then: nothing was written."""

    timings: Timings | None
