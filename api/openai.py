"""The OpenAI-compatible API: another front door to the same jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast

from flask import Blueprint, Response, after_this_request, jsonify

from api import event_stream
from api.access_log import JOB_HEADER
from api.admission import KEY_HEADER
from api.disconnect import on_disconnect, watch_answer, watch_stream
from api.engine_view import engines_json
from api.jobs import server_timing
from api.openai_answers import (
    ChatAnswer,
    CompletionAnswer,
    ModelList,
    ModelView,
    SamplingView,
)
from api.openai_shapes import Chat, Completion, Shape
from api.openai_stream import ChunkStream
from api.operation import SUBMISSION, SUBMITTED, TIMING_HEADER, Answer, Operation
from api.queries import OpenAiQuery
from api.schemas import ChatBody, CompletionBody, OpenAiBody
from api.services import services
from headrace.core.errors import (
    CallerLeft,
    DeadlineExceeded,
    JobFailed,
    SchemaViolation,
    Unavailable,
    UnknownModel,
    WaitEnded,
)
from headrace.core.model_card import ModelCard
from headrace.core.types import Request

blueprint = Blueprint("openai", __name__, url_prefix="/v1")

FAILURES = (WaitEnded, CallerLeft, DeadlineExceeded, SchemaViolation, JobFailed)


def _answer(whole: Any) -> Answer:
    """Whole, or a stream of chunks."""
    may_have = (TIMING_HEADER, *SUBMITTED)
    return Answer(whole, (event_stream.MEDIA_TYPE,), (JOB_HEADER,), may_have)


@blueprint.post("/chat/completions")
@Operation(
    query=OpenAiQuery,
    body=ChatBody,
    headers=(KEY_HEADER,),
    answers={200: _answer(ChatAnswer)},
    refuses=(*SUBMISSION, *FAILURES),
)
def chat_completions(body: ChatBody) -> Response:
    """Complete a chat.

    As OpenAI's: with `stream` the answer is a stream of chunks. Each choice is a job.
    """
    return _serve(services().intake.chat(body), body, Chat)


@blueprint.post("/completions")
@Operation(
    query=OpenAiQuery,
    body=CompletionBody,
    headers=(KEY_HEADER,),
    answers={200: _answer(CompletionAnswer)},
    refuses=(*SUBMISSION, *FAILURES),
)
def completions(body: CompletionBody) -> Response:
    """Complete one or several prompts.

    As OpenAI's: with `stream` the answer is a stream of chunks. Each choice of a prompt is a job.
    """
    return _serve(services().intake.completion(body), body, Completion)


@blueprint.get("/models")
@Operation(query=OpenAiQuery, answers={200: Answer(ModelList)}, refuses=(Unavailable,))
def models() -> Response:
    """The one model."""
    view: ModelList = {"object": "list", "data": [_model_json(services().cards.current())]}
    return jsonify(view)


@blueprint.get("/models/<path:name>")
@Operation(query=OpenAiQuery, answers={200: Answer(ModelView)}, refuses=(UnknownModel, Unavailable))
def model(name: str) -> Response:
    """The model of this name."""
    return jsonify(_model_json(services().intake.card(name)))


def _model_json(card: ModelCard) -> ModelView:
    defaults = services().intake.sampling_defaults(card)
    return {
        "id": card.name,
        "object": "model",
        "created": services().cards.first_seen(card),
        "owned_by": "headrace",
        "root": card.name,
        "max_model_len": card.context_tokens,
        "context_tokens": card.context_tokens,
        "engines": engines_json(services().roster.workers()),
        "sampling_defaults": cast("SamplingView", defaults.model_dump()),
    }


def _serve(requests: Sequence[Request], body: OpenAiBody, kind: type[Shape]) -> Response:
    submitted = services().admission.submit(requests)
    card = None if body.wanted_logprobs is None else services().cards.current()
    options = body.stream_options
    includes_usage = body.stream and options.include_usage
    shape = kind(requests, submitted, body.n, card, includes_usage)
    _name_jobs(shape.job_ids)
    at_hang_up = on_disconnect(body.on_disconnect)
    if body.stream:
        chunks = ChunkStream(shape, options).blocks()
        watched = watch_stream(chunks, at_hang_up, shape.job_ids)
        return event_stream.respond(watched, ", ".join(shape.job_ids))
    with watch_answer(at_hang_up, shape.job_ids):
        return _whole(shape)


def _name_jobs(job_ids: Sequence[str]) -> None:
    """In the answer to this request, whatever becomes of it."""

    @after_this_request
    def name_jobs(response: Response) -> Response:
        response.headers[JOB_HEADER] = ", ".join(job_ids)
        return response


def _whole(shape: Shape) -> Response:
    """Of several jobs the first that fails, or is not done in time, decides; all of them go on."""
    until = time.monotonic() + services().settings.max_wait_s
    follower = services().follower
    jobs = [follower.result(job_id, until - time.monotonic()) for job_id in shape.job_ids]
    response = jsonify(shape.answer(jobs))
    slowest = max(jobs, key=lambda job: sum(job.timings.stages.values()))
    response.headers[TIMING_HEADER] = server_timing(slowest)
    return response
