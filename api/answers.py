"""What the API answers with, as types: mypy holds to them what renders, and `openapi.py` says them.

Times are Redis TIME, s since the epoch; what is null is not known, or not so far.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.error_codes import CODES
from headrace.core.decision_log import Record
from headrace.core.types import FinishReason, JobState, Priority


class Failure(TypedDict):
    """`param` names the field; `job_id` the job that goes on, or ended, without its caller."""

    message: str
    type: str
    param: str | None
    code: Annotated[str, Field(json_schema_extra={"enum": [*CODES]})]
    job_id: NotRequired[str]


class Refused(TypedDict):
    error: Failure


class JobResult(TypedDict):
    text: str
    finish_reason: FinishReason


class JobUsage(TypedDict):
    """`cached_tokens` of the prompt were not read: an earlier request had begun with them."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: NotRequired[int]


class EngineTimes(TypedDict):
    prefill: float
    decode: float


class JobTimings(TypedDict):
    """Stamps, the stages between them, and what API and engine measured by themselves."""

    accepted_at: float | None
    claimed_at: float | None
    first_token_at: float | None
    last_token_at: float | None
    committed_at: float | None
    stages_ms: dict[str, float]
    total_ms: float
    tokenize_ms: float
    engine_ms: EngineTimes | None


class WaitingForView(TypedDict):
    model: str
    reason: str


class JobView(TypedDict):
    """While it waits, `position` is how many jobs go before it, `eta_s` the seconds from now until
    it will probably have *ended*, and `expires_at` the end of its wait. A job whose model no worker
    runs has neither `position` nor `eta_s`: it is `waiting_for` such a worker.
    """

    id: str
    object: Literal["job"]
    status: JobState
    request_id: str
    model: str
    priority: Priority
    created_at: float | None
    deadline_s: float | None
    deadline_at: float | None
    expires_at: float | None
    position: int | None
    eta_s: float | None
    waiting_for: WaitingForView | None
    prompt_tokens: int
    result: JobResult | None
    usage: JobUsage | None
    error: str | None
    reason: str | None
    replay_of: str | None
    attempts: int
    worker: str | None
    batch_size: float | None
    timings: JobTimings


class JobPage(TypedDict):
    """`next_cursor` is the `after` of the next page. A page may be short, and yet not the last."""

    object: Literal["list"]
    data: list[JobView]
    has_more: bool
    next_cursor: str | None


class MomentView(TypedDict):
    """What is known of it, and the ms since the job was accepted."""

    at: float
    event: str
    after_ms: float
    worker: NotRequired[str]
    attempt: NotRequired[int]
    alone: NotRequired[bool]
    batch_size: NotRequired[float]
    reason: NotRequired[str]
    due_at: NotRequired[float]
    priority: NotRequired[Priority]


class TimelineView(TypedDict):
    id: str
    object: Literal["timeline"]
    data: list[MomentView]


class DeathView(TypedDict):
    worker: str
    died_at: float
    batch_size: int


class DeadLetterView(TypedDict):
    """`request_id`, `model` and `prompt_tokens` are null for a job that cannot be read."""

    id: str
    object: Literal["dead_letter"]
    reason: str
    error: str
    request_id: str | None
    model: str | None
    priority: Priority
    prompt_tokens: int | None
    attempts: int
    deaths: int
    died: list[DeathView]
    worker: str | None
    batch_size: float | None
    created_at: float
    ended_at: float
    forgotten_at: float | None
    replay_of: str | None
    replayed_as: str | None


class DeadLetterList(TypedDict):
    object: Literal["list"]
    data: list[DeadLetterView]


class DecisionList(TypedDict):
    object: Literal["list"]
    data: list[Record]


class Purged(TypedDict):
    purged: int


class Health(TypedDict):
    status: Literal["ok"]


class WorkerCounts(TypedDict):
    ready: int
    draining: int


class QueueFilling(TypedDict):
    """`set_aside` of the `waiting` jobs were set aside for a worker of their model."""

    waiting: int
    set_aside: int
    max_jobs: int


class Readiness(TypedDict):
    status: Literal["ok"]
    model: str
    workers: WorkerCounts
    queue: QueueFilling


class FleetQueue(TypedDict):
    """`set_aside` counts, by model, the jobs that workers of the model served now cannot run;
    `waiting` counts the others.
    """

    waiting: int
    running: int
    set_aside: dict[str, int]
    oldest_wait_s: float


class FleetWorker(TypedDict):
    name: str
    activity: str
    engine: str
    age_s: float
    slots: int
    running: int


class FleetView(TypedDict):
    """`starting` workers load their model; `desired` is what the scaler wants, null without one.

    `cold_starts_s` are the newest ones, from a process's begin to a ready worker. `steps` are sums
    over all steps since counting began: `n` steps took `s` seconds for `r` decoding rows and `p`
    prompt tokens; `rr` is the sum of r x r, and so on.
    """

    object: Literal["fleet"]
    at: float
    model: str
    queue: FleetQueue
    workers: list[FleetWorker]
    starting: int
    desired: int | None
    cold_starts_s: list[float]
    steps: dict[str, float]
