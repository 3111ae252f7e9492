"""The OpenAI-compatible API: another front door to the same jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, jsonify

from api import arguments, event_stream
from api.access_log import JOB_HEADER
from api.body import read_json
from api.disconnect import watch_disconnect, while_connected
from api.errors import TABLE, error_body
from api.follower import failure
from api.jobs import server_timing
from api.schemas import ChatBody, CompletionBody
from api.services import services
from headrace.core.events import TokenEvent
from headrace.core.jobs.job import Job
from headrace.core.types import JobState, Request

blueprint = Blueprint("openai", __name__, url_prefix="/v1")


@blueprint.post("/chat/completions")
def chat_completions() -> Response:
    arguments.only()
    body = ChatBody.parse(read_json())
    return _serve(services().intake.chat(body), body, Chat)


@blueprint.post("/completions")
def completions() -> Response:
    arguments.only()
    body = CompletionBody.parse(read_json())
    return _serve(services().intake.completion(body), body, Completion)


@blueprint.get("/models")
def models() -> Response:
    card = services().cards.current()
    model = {
        "id": card.name,
        "object": "model",
        "created": 0,
        "owned_by": "headrace",
        "context_tokens": card.context_tokens,
    }
    return jsonify({"object": "list", "data": [model]})


class Shape:
    """How one route writes answers: whole, or in chunks of a stream."""

    prefix: str
    whole: str
    chunk: str

    def __init__(self, request: Request, created: int) -> None:
        self._request = request
        self._created = created

    def answer(self, job: Job) -> dict[str, Any]:
        result = job.result or {}
        choice = self.choice(result["text"]) | _ending(result["finish_reason"])
        usage = self.usage(result["usage"]["completion_tokens"])
        return self._envelope(self.whole, [choice]) | {"usage": usage}

    def piece(self, choice: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return self._envelope(self.chunk, [choice | _ending(finish_reason)])

    def tally(self, output_tokens: int) -> dict[str, Any]:
        """The last chunk of a stream that asked for its usage."""
        return self._envelope(self.chunk, []) | {"usage": self.usage(output_tokens)}

    def usage(self, output_tokens: int) -> dict[str, int]:
        prompt_tokens = len(self._request.prompt_ids)
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": prompt_tokens + output_tokens,
        }

    def _envelope(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"{self.prefix}-{self._request.id}",
            "object": kind,
            "created": self._created,
            "model": self._request.model,
            "choices": choices,
        }

    def choice(self, text: str) -> dict[str, Any]:
        raise NotImplementedError

    def opening(self) -> dict[str, Any]:
        """The choice of a stream's first chunk."""
        raise NotImplementedError

    def delta(self, text: str) -> dict[str, Any]:
        raise NotImplementedError


class Chat(Shape):
    prefix, whole, chunk = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def choice(self, text: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text}}

    def opening(self) -> dict[str, Any]:
        return {"delta": {"role": "assistant", "content": ""}}

    def delta(self, text: str) -> dict[str, Any]:
        return {"delta": {"content": text} if text else {}}


class Completion(Shape):
    prefix, whole, chunk = "cmpl", "text_completion", "text_completion"

    def choice(self, text: str) -> dict[str, Any]:
        return {"text": text}

    def opening(self) -> dict[str, Any]:
        return self.choice("")

    def delta(self, text: str) -> dict[str, Any]:
        return self.choice(text)


def _ending(finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "logprobs": None, "finish_reason": finish_reason}


def _serve(request: Request, body: ChatBody | CompletionBody, kind: type[Shape]) -> Response:
    [submitted] = services().admission.submit([request])
    shape = kind(request, int(submitted.accepted))
    if body.stream:
        chunks = _stream(request.id, shape, body.stream_options.include_usage)
        watched = while_connected(chunks, body.on_disconnect, [request.id])
        return event_stream.respond(watched, request.id)
    with watch_disconnect(body.on_disconnect, [request.id]):
        job = services().follower.result(request.id, services().settings.max_wait_s)
    response = jsonify(shape.answer(job))
    response.headers["Server-Timing"] = server_timing(job)
    response.headers[JOB_HEADER] = request.id
    return response


def _stream(job_id: str, shape: Shape, include_usage: bool) -> Iterator[str]:
    yield _event(shape.piece(shape.opening()))
    count = 0
    for event in services().follower.tokens(job_id):
        if event is None:
            yield event_stream.KEEP_ALIVE
            continue
        count += len(event.token_ids)
        if event.state is not None:
            yield from _last(job_id, shape, event)
        elif event.text:
            yield _event(shape.piece(shape.delta(event.text)))
    if include_usage:
        yield _event(shape.tally(count))
    yield "data: [DONE]\n\n"


def _last(job_id: str, shape: Shape, event: TokenEvent) -> Iterator[str]:
    if event.state is None or event.state is JobState.SUCCEEDED:
        yield _event(shape.piece(shape.delta(event.text), event.reason))
    else:
        error = failure(job_id, event.state, event.reason)
        yield _event({"error": error_body(error, TABLE[type(error)].type)})


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"
