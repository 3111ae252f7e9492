"""A real day, from the completion log and the scaler's decisions of a deployment."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from headrace.core.connection import Client
from headrace.core.decision_log import Record, decisions
from headrace.core.errors import InvalidRequest
from headrace.core.events import Completion, completions
from headrace.core.fleet import read_fleet
from headrace.core.settings import Settings
from headrace.core.types import CANARY_TENANT, JobState
from headrace.planning.recording import Recording, changes
from headrace.planning.trace import Trace

MOST_DECISIONS = 100_000


def read_history(redis: Client, settings: Settings, since_s: float | None = None) -> Recording:
    """Of the jobs that were accepted in the last `since_s`; None: of all that are in the log.

    Without the monitor's own. Raises `InvalidRequest` where no engine has ended any job.
    """
    fleet = read_fleet(redis, settings)
    begin = -inf if since_s is None else fleet.queue.at - since_s
    ended = sorted(
        (job for job in completions(redis, settings.completion_log_max) if _counts(job, begin)),
        key=_accepted,
    )
    if not ended:
        raise InvalidRequest("the completion log holds no job that an engine ended")
    begin, end = _accepted(ended[0]), max(_committed(job) for job in ended)
    return Recording(
        source=f"the completion log, {len(ended)} jobs",
        trace=Trace(
            [_accepted(job) - begin for job in ended],
            [float(_prompt(job)) for job in ended],
            [float(max(1, _output(job))) for job in ended],
            end - begin,
        ),
        e2e_s=[_after(job, job.timings.committed) for job in ended],
        ttft_s=[_after(job, job.timings.first_token) for job in ended],
        sizes=sizes_of(decisions(redis, MOST_DECISIONS), begin, end),
        steps=fleet.steps,
        slots=next((worker.stats.slots for worker in fleet.workers), None),
        cold_starts_s=fleet.cold_starts_s,
    )


def sizes_of(records: Sequence[Record], begin: float, end: float) -> list[tuple[float, int]]:
    """The wanted sizes from `begin` on; of what was before any decision the first one speaks."""
    known = [(record.at, record.size) for record in records if record.size is not None]
    if not known:
        return []
    before = [size for at, size in known if at <= begin]
    sizes = [(0.0, before[-1] if before else known[0][1])]
    sizes += [(at - begin, size) for at, size in known if begin < at < end]
    return changes(sizes)


def _counts(job: Completion, begin: float) -> bool:
    if job.report is None or job.timings.accepted is None:
        return False
    return job.report.tenant != CANARY_TENANT and job.timings.accepted >= begin


def _accepted(job: Completion) -> float:
    """0.0 where the stamp is missing; `_counts` leaves such jobs out."""
    return job.timings.accepted or 0.0


def _committed(job: Completion) -> float:
    return job.timings.committed or _accepted(job)


def _prompt(job: Completion) -> int:
    return job.report.prompt_tokens if job.report else 0


def _output(job: Completion) -> int:
    return job.report.output_tokens if job.report else 0


def _after(job: Completion, at: float | None) -> float:
    is_answered = job.state is JobState.SUCCEEDED and at is not None
    return at - _accepted(job) if is_answered and at is not None else inf
