"""What a worker's log says of each job."""

from __future__ import annotations

import structlog

from headrace.core.jobs.handover import Claimed, Finished, Outcome
from headrace.core.jobs.rq_adapter import EXPIRED
from headrace.core.types import CANARY_TENANT, JobState
from worker.running import Running

log = structlog.get_logger()


def log_unclaimed(claimed: Claimed) -> None:
    """The jobs that a claim found over or odd, instead of bringing them."""
    for job_id in claimed.expired:
        log.info(
            "request finished",
            job_id=job_id,
            request_id=claimed.request_ids.get(job_id),
            state=JobState.EXPIRED,
            reason=EXPIRED,
        )
    for model, jobs in claimed.set_aside.items():
        log.warning("jobs set aside: they wait for a worker of their model", model=model, jobs=jobs)
    for job_id, status in claimed.odd:
        log.error("queued id without a waiting job", job_id=job_id, status=status)


def log_preempted(job: Running) -> None:
    """Logs one line for a job that made room for interactive work."""
    log.info(
        "job preempted",
        job_id=job.claim.job_id,
        request_id=job.request.request_id,
        priority=job.request.priority,
        output_tokens=job.output_tokens,
        preemptions=job.claim.preemptions + 1,
    )


def log_end(outcome: Outcome, result: Finished) -> None:
    """One line a job, whatever became of it; none for the monitor's own."""
    report, job_id = outcome.report, outcome.claim.job_id
    if result.verdict == "lost":
        log.warning("late result refused: the job is another's", job_id=job_id)
        return
    if result.verdict == "retried":
        log.warning("job is tried again", job_id=job_id, error=outcome.error)
        return
    if report.tenant == CANARY_TENANT:
        return
    stages = result.timings.stages if result.timings else {}
    log.info(
        "request finished",
        job_id=job_id,
        request_id=outcome.claim.request.request_id if outcome.claim.request else None,
        state=outcome.state,
        model=report.model,
        prompt_tokens=report.prompt_tokens,
        output_tokens=report.output_tokens,
        **{f"{stage}_ms": _ms(seconds) for stage, seconds in stages.items()},
        total_ms=_ms(sum(stages.values())),
        tokenize_ms=_ms(report.tokenize_s),
        batch_size=round(report.batch_size, 1),
        worker=report.worker,
        attempt=report.attempt,
        reason=outcome.reason,
        **({"error": outcome.error} if outcome.error else {}),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
