"""The jobs API: submit, poll, list, change, cancel, purge."""

from __future__ import annotations

from typing import Any

import structlog
from flask import Blueprint, Response, jsonify, request, url_for
from redis.exceptions import RedisError

from api import arguments
from api.access_log import JOB_HEADER
from api.body import read_json
from api.caller import caller
from api.schemas import JobBody, PriorityBody
from api.services import services
from headrace.core.errors import InvalidRequest, JobNotFound, WrongState
from headrace.core.jobs.job import STAMPS, Job
from headrace.core.types import JobState

MAX_LISTED = 1000
log = structlog.get_logger()

blueprint = Blueprint("jobs", __name__, url_prefix="/v1/jobs")


@blueprint.post("")
def submit() -> Response:
    arguments.only()
    job = services().intake.job(JobBody.parse(read_json()))
    services().admission.submit([job])
    response = job_response(services().queue.get(job.id))
    response.status_code = 202
    response.headers["Location"] = url_for("jobs.show", job_id=job.id)
    return response


@blueprint.get("/<job_id>")
def show(job_id: str) -> Response:
    """`?wait=S` answers as soon as the job has ended, after S seconds at the latest."""
    arguments.only("wait")
    wait_s = arguments.number("wait", 0.0, services().settings.max_wait_s)
    return job_response(services().follower.wait(arguments.job_id(job_id), wait_s))


@blueprint.get("")
def index() -> Response:
    arguments.only("limit", "state")
    limit = int(arguments.number("limit", 20, MAX_LISTED, least=1))
    state = _state(request.args.get("state"))
    jobs = services().queue.recent(limit, state, caller().sees)
    return jsonify({"object": "list", "data": [job_json(job) for job in jobs]})


@blueprint.patch("/<job_id>")
def change(job_id: str) -> Response:
    """Only the priority can be changed, and only while the job waits."""
    arguments.only()
    priority = PriorityBody.parse(read_json()).priority
    if not services().queue.reprioritise(arguments.job_id(job_id), priority):
        raise WrongState(f"job {job_id} no longer waits; its priority stays as it was")
    log.info("priority changed", job_id=job_id, priority=priority)
    return job_response(services().queue.get(job_id))


@blueprint.delete("/<job_id>")
def cancel(job_id: str) -> Response:
    """`?purge=true` removes prompt and result as well."""
    arguments.only("purge")
    has_to_go = arguments.flag("purge")
    if services().queue.cancel(arguments.job_id(job_id)):
        _log_cancelled(job_id)
    if has_to_go:
        return _purge(job_id)
    return job_response(services().queue.get(job_id))


def _log_cancelled(job_id: str) -> None:
    """As a worker logs an end: under the id of the request that brought the job, not of this."""
    try:
        request_id = services().queue.get(job_id).request.request_id
    except (JobNotFound, RedisError):  # it cannot be read, or Redis went away: cancelled it is
        request_id = None
    log.info(
        "request finished",
        job_id=job_id,
        request_id=request_id,
        state=JobState.CANCELLED,
        reason="cancelled",
    )


def _purge(job_id: str) -> Response:
    if not services().queue.purge(job_id):
        raise WrongState(f"job {job_id} waits or runs again")
    log.info("job purged", job_id=job_id)
    return Response(status=204)


def job_response(job: Job) -> Response:
    response = jsonify(job_json(job))
    response.headers[JOB_HEADER] = job.id
    response.headers["Server-Timing"] = server_timing(job)
    return response


def job_json(job: Job) -> dict[str, Any]:
    """A job as clients see it."""
    result, report = job.result, job.report
    return {
        "id": job.id,
        "object": "job",
        "status": job.state,
        "request_id": job.request.request_id,
        "model": job.request.model,
        "priority": job.request.priority,
        "created_at": job.timings.accepted,
        "position": job.position,
        "prompt_tokens": len(job.request.prompt_ids),
        "result": result and {key: result[key] for key in ("text", "finish_reason")},
        "usage": result and result["usage"],
        "error": job.error if job.state is not JobState.SUCCEEDED else None,
        "replay_of": job.replay_of,
        "attempts": job.attempts,
        "worker": job.worker,
        "batch_size": report and round(report.batch_size, 2),
        "timings": timings_json(job),
    }


def timings_json(job: Job) -> dict[str, Any]:
    """Stamps (Redis TIME, s since the epoch), the stages between them, and monotonic measures."""
    stages, report = job.timings.stages, job.report
    return {
        **{f"{name}_at": getattr(job.timings, name) for name in STAMPS},
        "stages_ms": {stage: _ms(seconds) for stage, seconds in stages.items()},
        "total_ms": _ms(sum(stages.values())),
        "tokenize_ms": _ms(job.request.tokenize_s),
        "engine_ms": report and {"prefill": _ms(report.prefill_s), "decode": _ms(report.decode_s)},
    }


def server_timing(job: Job) -> str:
    """The job's stages for browsers and proxies, as the `Server-Timing` header wants them."""
    stages = {"tokenize": job.request.tokenize_s} | job.timings.stages
    return ", ".join(f"{stage};dur={_ms(seconds)}" for stage, seconds in stages.items())


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _state(text: str | None) -> JobState | None:
    try:
        return JobState(text) if text else None
    except ValueError as error:
        raise InvalidRequest(f"state: one of {', '.join(JobState)}", "state") from error
