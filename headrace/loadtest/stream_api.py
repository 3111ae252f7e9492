"""Streamed answers of `POST /v1/chat/completions`, timed by their chunks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import ClientPayloadError, ClientResponse

from headrace.loadtest.api import FAILED_JOB, Posting, Refused, accept, note_usage
from headrace.loadtest.prompts import Prompt
from headrace.loadtest.record import Record

BROKEN_STREAM = "stream_error"
TEXTS = ("content", "reasoning_content", "reasoning")
"""Where servers put what a model writes."""


class StreamApi(Posting):
    route = "/v1/chat/completions"

    async def ask(self, prompt: Prompt, record: Record) -> str:
        usage, said = {"include_usage": True}, list[str]()
        async with self.post(prompt, stream=True, stream_options=usage) as answer:
            await accept(answer, record)
            async for event in _events(answer):
                said += _note(event, record)
        if record.first_token is None:
            raise Refused(BROKEN_STREAM)
        return "".join(said)


async def _events(answer: ClientResponse) -> AsyncIterator[Mapping[str, Any]]:
    """The events up to `[DONE]`. Raises `Refused` where the stream breaks off before."""
    try:
        async for line in answer.content:
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                return
            yield json.loads(data)
    except ClientPayloadError as error:
        raise Refused(BROKEN_STREAM) from error
    raise Refused(BROKEN_STREAM)


def _note(event: Mapping[str, Any], record: Record) -> list[str]:
    """Notes the event on the record, and returns what it adds to the answer."""
    if error := event.get("error"):
        raise Refused(FAILED_JOB if error.get("type") == FAILED_JOB else BROKEN_STREAM)
    for choice in event.get("choices") or ():
        _note_choice(choice, record)
    if usage := event.get("usage"):
        note_usage(usage, record)
    return [choice["delta"].get("content") or "" for choice in event.get("choices") or ()]


def _note_choice(choice: Mapping[str, Any], record: Record) -> None:
    """A chunk without text is no token, unless it ends the answer."""
    has_text = any(choice["delta"].get(name) for name in TEXTS)
    if not has_text and choice.get("finish_reason") is None:
        return
    record.last_token = asyncio.get_running_loop().time()
    if record.first_token is None:
        record.first_token = record.last_token
    if has_text:
        record.output_tokens += 1
        record.tokens_counted = True
