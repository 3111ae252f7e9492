"""The jobs API: submit, poll, stream, list, change, cancel, purge."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import structlog
from flask import Blueprint, Response, jsonify, request, url_for
from redis.exceptions import RedisError

from api import arguments, cancellation, job_stream, preference
from api.access_log import JOB_HEADER
from api.body import read_json
from api.caller import caller
from api.disconnect import watch_disconnect
from api.schemas import JobBody, PriorityBody
from api.services import services
from headrace.core.errors import InvalidRequest, WaitEnded, WrongState
from headrace.core.jobs.handover import Submitted
from headrace.core.jobs.job import STAMPS, Job, Timings
from headrace.core.jobs.job_list import NEWEST, Place, read_page
from headrace.core.jobs.timeline import Moment, read_timeline
from headrace.core.types import JobState, Request

MAX_LISTED = 1000
log = structlog.get_logger()

blueprint = Blueprint("jobs", __name__, url_prefix="/v1/jobs")


@blueprint.post("")
def submit() -> Response:
    """200 with a job that ended while its caller waited (`Prefer: wait=S`), else 202."""
    arguments.only()
    body, wait_s = JobBody.parse(read_json()), preference.wait_s()
    if body.on_disconnect == "cancel" and not wait_s:
        raise InvalidRequest("on_disconnect: cancel needs `Prefer: wait=S`", "on_disconnect")
    asked = services().intake.job(body)
    [submitted] = services().admission.submit([asked])
    job = _wait(submitted.job_id, body, wait_s) if wait_s else _put(asked, submitted)
    response = job_response(job)
    response.status_code = 200 if wait_s and job.state.is_terminal else 202
    response.headers["Location"] = url_for("jobs.show", job_id=job.id)
    if wait_s:
        response.headers["Preference-Applied"] = f"wait={wait_s}"
    return response


def _wait(job_id: str, body: JobBody, wait_s: int) -> Job:
    try:
        with watch_disconnect(body.on_disconnect, [job_id]):
            return services().follower.wait(job_id, wait_s)
    except RedisError as error:  # who is told to come again would ask for another job
        raise WaitEnded(job_id) from error


def _put(asked: Request, submitted: Submitted) -> Job:
    """A new job as it was put into its queue; an earlier one as it stands."""
    if not submitted.is_new:
        return services().queue.get(submitted.job_id)
    accepted, expires = submitted.accepted, submitted.accepted + services().settings.queue_ttl_s
    deadline = None if asked.deadline_s is None else accepted + asked.deadline_s
    return Job(
        asked,
        JobState.QUEUED,
        Timings(accepted=accepted),
        attempts=0,
        place=submitted.place,
        deadline=deadline,
        expires=expires if deadline is None else min(expires, deadline),
    )


@blueprint.get("/<job_id>")
def show(job_id: str) -> Response:
    """`?wait=S` answers as soon as the job has ended, after S seconds at the latest."""
    arguments.only("wait")
    wait_s = arguments.number("wait", 0.0, services().settings.max_wait_s)
    return job_response(services().follower.wait(arguments.job_id(job_id), wait_s))


@blueprint.get("/<job_id>/stream")
def stream(job_id: str) -> Response:
    """Server-sent events; `Last-Event-ID`, or `?after=`, goes on behind that event."""
    arguments.only(job_stream.PARAMETER)
    return job_stream.answer(services().queue.get(arguments.job_id(job_id)))


@blueprint.get("/<job_id>/timeline")
def timeline(job_id: str) -> Response:
    """What happened to the job, and when: also to attempts that came to nothing."""
    arguments.only()
    moments = read_timeline(services().queue.redis, arguments.job_id(job_id))
    data = [moment_json(moment, moments[0].at) for moment in moments]
    response = jsonify({"id": job_id, "object": "timeline", "data": data})
    response.headers[JOB_HEADER] = job_id
    return response


@blueprint.get("")
def index() -> Response:
    """The newest first; `?after=` takes the `next_cursor` of the page before."""
    arguments.only("limit", "state", "after")
    limit = int(arguments.number("limit", 20, MAX_LISTED, least=1))
    state, behind = _state(request.args.get("state")), _place(request.args.get("after"))
    page = read_page(services().queue, limit, behind, state, caller().sees)
    return jsonify(
        {
            "object": "list",
            "data": [job_json(job) for job in page.jobs],
            "has_more": page.behind is not None,
            "next_cursor": page.behind and page.behind.encode(),
        }
    )


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
    cancellation.cancel(services().queue, arguments.job_id(job_id))
    if has_to_go:
        return _purge(job_id)
    return job_response(services().queue.get(job_id))


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
    """A job as clients see it.

    While it waits, `position` is how many jobs go before it, `eta_s` the seconds from now until it
    will probably have *ended* (null where nothing has been measured that says so), and `expires_at`
    the end of its wait.
    """
    result, report = job.result, job.report
    return {
        "id": job.id,
        "object": "job",
        "status": job.state,
        "request_id": job.request.request_id,
        "model": job.request.model,
        "priority": job.request.priority,
        "created_at": job.timings.accepted,
        "deadline_s": job.request.deadline_s,
        "deadline_at": job.deadline,
        "expires_at": job.expires,
        "position": job.position,
        "eta_s": _eta_s(job),
        "prompt_tokens": len(job.request.prompt_ids),
        "result": result and {key: result[key] for key in ("text", "finish_reason")},
        "usage": result and result["usage"],
        "error": job.error if job.state is not JobState.SUCCEEDED else None,
        "reason": job.reason,
        "replay_of": job.replay_of,
        "attempts": job.attempts,
        "worker": job.worker,
        "batch_size": report and round(report.batch_size, 2),
        "timings": timings_json(job),
    }


def _eta_s(job: Job) -> float | None:
    if job.place is None:
        return None
    eta_s = services().pace.current().eta_s(job.request, job.place)
    return None if eta_s is None else round(eta_s, 3)


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


def moment_json(moment: Moment, accepted: float) -> dict[str, Any]:
    """What is known of it, and the ms since the job was accepted."""
    known = {name: value for name, value in asdict(moment).items() if value is not None}
    return known | {"after_ms": _ms(moment.at - accepted)}


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


def _place(text: str | None) -> Place:
    try:
        return Place.decode(text) if text else NEWEST
    except ValueError as error:
        raise InvalidRequest("after: the next_cursor of an earlier page", "after") from error
