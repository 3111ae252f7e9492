"""The jobs API: submit, poll, stream, list, change, cancel, purge."""

from __future__ import annotations

from dataclasses import asdict
from typing import cast

import structlog
from flask import Blueprint, Response, jsonify, request
from redis.exceptions import RedisError

from api import arguments, cancellation, event_stream, job_stream, preference
from api.access_log import JOB_HEADER
from api.admission import KEY_HEADER
from api.answers import (
    EngineTimes,
    JobPage,
    JobResult,
    JobTimings,
    JobView,
    MomentView,
    TimelineView,
    WaitingForView,
)
from api.caller import caller
from api.disconnect import watch_answer
from api.operation import SUBMISSION, SUBMITTED, TIMING_HEADER, Answer, Operation, job_answer
from api.queries import CancelQuery, JobsQuery, StreamQuery, WaitQuery
from api.schemas import JobBody, PriorityBody
from api.services import services
from headrace.core.errors import InvalidRequest, JobNotFound, WaitEnded, WrongState
from headrace.core.jobs.handover import Submitted
from headrace.core.jobs.job import Job, Timings
from headrace.core.jobs.job_list import NEWEST, Place, read_page
from headrace.core.jobs.timeline import Moment, read_timeline
from headrace.core.types import JobState, Request

log = structlog.get_logger()

blueprint = Blueprint("jobs", __name__, url_prefix="/v1/jobs")


@blueprint.post("")
@Operation(
    body=JobBody,
    headers=(KEY_HEADER, preference.HEADER),
    answers={
        200: job_answer(JobView, "Location", preference.APPLIED, may_have=SUBMITTED),
        202: job_answer(JobView, "Location", may_have=(preference.APPLIED, *SUBMITTED)),
    },
    refuses=(*SUBMISSION, WaitEnded),
)
def submit(body: JobBody) -> Response:
    """Submit a job.

    `Prefer: wait=S` answers with the ended job, if it ends within S seconds.
    """
    wait_s = preference.wait_s()
    if body.on_disconnect == "cancel" and not wait_s:
        raise InvalidRequest("on_disconnect: cancel needs `Prefer: wait=S`", "on_disconnect")
    asked = services().intake.job(body)
    [submitted] = services().admission.submit([asked])
    job = _wait(submitted.job_id, body, wait_s) if wait_s else _put(asked, submitted)
    response = job_response(job)
    response.status_code = 200 if wait_s and job.state.is_terminal else 202
    response.headers["Location"] = f"{request.root_path}{request.path}/{job.id}"
    if wait_s:
        response.headers[preference.APPLIED] = f"wait={wait_s}"
    return response


def _wait(job_id: str, body: JobBody, wait_s: int) -> Job:
    try:
        with watch_answer(body.on_disconnect or "continue", [job_id]):
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
@Operation(query=WaitQuery, answers={200: job_answer(JobView)}, refuses=(JobNotFound,))
def show(job_id: str, query: WaitQuery) -> Response:
    """A job as it stands, or as it has ended."""
    most = services().settings.max_wait_s
    if query.wait > most:
        raise InvalidRequest(f"wait: at most {most:g}", "wait")
    return job_response(services().follower.wait(arguments.job_id(job_id), query.wait))


@blueprint.get("/<job_id>/stream")
@Operation(
    query=StreamQuery,
    headers=(job_stream.HEADER,),
    answers={200: Answer(texts=(event_stream.MEDIA_TYPE,), headers=(JOB_HEADER,)), 204: Answer()},
    refuses=(JobNotFound,),
)
def stream(job_id: str, query: StreamQuery) -> Response:
    """A job's tokens as server-sent events.

    `position` while it waits, `token` (`index` of its first token, `text`, `token_ids`), and `end`
    (`status`, `finish_reason`, `reason`, `usage`). Without an `end` the stream is not over: come
    back with the id of the last event. Behind the `end` the answer is 204.
    """
    return job_stream.answer(services().queue.get(arguments.job_id(job_id)), query.after)


@blueprint.get("/<job_id>/timeline")
@Operation(answers={200: Answer(TimelineView, headers=(JOB_HEADER,))}, refuses=(JobNotFound,))
def timeline(job_id: str) -> Response:
    """What happened to a job, and when.

    Also to attempts that came to nothing.
    """
    moments = read_timeline(services().queue.redis, arguments.job_id(job_id))
    data = [moment_json(moment, moments[0].at) for moment in moments]
    view: TimelineView = {"id": job_id, "object": "timeline", "data": data}
    response = jsonify(view)
    response.headers[JOB_HEADER] = job_id
    return response


@blueprint.get("")
@Operation(query=JobsQuery, answers={200: Answer(JobPage)})
def index(query: JobsQuery) -> Response:
    """The jobs that are kept, the newest first."""
    behind = _place(query.after)
    page = read_page(services().queue, query.limit, behind, query.state, caller().sees)
    view: JobPage = {
        "object": "list",
        "data": [job_json(job) for job in page.jobs],
        "has_more": page.behind is not None,
        "next_cursor": page.behind.encode() if page.behind else None,
    }
    return jsonify(view)


@blueprint.patch("/<job_id>")
@Operation(body=PriorityBody, answers={200: job_answer(JobView)}, refuses=(JobNotFound, WrongState))
def change(job_id: str, body: PriorityBody) -> Response:
    """Give a job another priority.

    Only while it waits.
    """
    if not services().queue.reprioritise(arguments.job_id(job_id), body.priority):
        raise WrongState(f"job {job_id} no longer waits; its priority stays as it was")
    log.info("priority changed", job_id=job_id, priority=body.priority)
    return job_response(services().queue.get(job_id))


@blueprint.delete("/<job_id>")
@Operation(
    query=CancelQuery,
    answers={200: job_answer(JobView), 204: Answer()},
    refuses=(JobNotFound, WrongState),
)
def cancel(job_id: str, query: CancelQuery) -> Response:
    """Cancel a job, waiting or running.

    204 where it was purged as well.
    """
    cancellation.cancel(services().queue, arguments.job_id(job_id))
    if query.purge:
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
    response.headers[TIMING_HEADER] = server_timing(job)
    return response


def job_json(job: Job) -> JobView:
    """A job as clients see it."""
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
        "waiting_for": _waiting_for(job),
        "prompt_tokens": len(job.request.prompt_ids),
        "result": _result(job),
        "usage": job.result["usage"] if job.result else None,
        "error": job.error if job.state is not JobState.SUCCEEDED else None,
        "reason": job.reason,
        "replay_of": job.replay_of,
        "attempts": job.attempts,
        "worker": job.worker,
        "batch_size": round(job.report.batch_size, 2) if job.report else None,
        "timings": timings_json(job),
    }


def _result(job: Job) -> JobResult | None:
    if not job.result:
        return None
    return {"text": job.result["text"], "finish_reason": job.result["finish_reason"]}


def _waiting_for(job: Job) -> WaitingForView | None:
    if job.waiting_for is None:
        return None
    return {"model": job.waiting_for.model, "reason": job.waiting_for.reason}


def _eta_s(job: Job) -> float | None:
    if job.place is None:
        return None
    eta_s = services().pace.current().eta_s(job.request, job.place)
    return None if eta_s is None else round(eta_s, 3)


def timings_json(job: Job) -> JobTimings:
    stamps, stages, report = job.timings, job.timings.stages, job.report
    engine_ms: EngineTimes | None = None
    if report:
        engine_ms = {"prefill": _ms(report.prefill_s), "decode": _ms(report.decode_s)}
    return {
        "accepted_at": stamps.accepted,
        "claimed_at": stamps.claimed,
        "first_token_at": stamps.first_token,
        "last_token_at": stamps.last_token,
        "committed_at": stamps.committed,
        "stages_ms": {stage: _ms(seconds) for stage, seconds in stages.items()},
        "total_ms": _ms(sum(stages.values())),
        "tokenize_ms": _ms(job.request.tokenize_s),
        "engine_ms": engine_ms,
    }


def moment_json(moment: Moment, accepted: float) -> MomentView:
    known = {name: value for name, value in asdict(moment).items() if value is not None}
    return cast("MomentView", known | {"after_ms": _ms(moment.at - accepted)})


def server_timing(job: Job) -> str:
    """The job's stages for browsers and proxies, as the `Server-Timing` header wants them."""
    stages = {"tokenize": job.request.tokenize_s} | job.timings.stages
    return ", ".join(f"{stage};dur={_ms(seconds)}" for stage, seconds in stages.items())


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _place(text: str | None) -> Place:
    try:
        return NEWEST if text is None else Place.decode(text)
    except ValueError as error:
        raise InvalidRequest("after: the next_cursor of an earlier page", "after") from error
