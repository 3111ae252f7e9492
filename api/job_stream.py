"""A job's tokens as server-sent events; a reader goes on behind any of them.

    position  {position}                     every few seconds while it waits: jobs in front of it
    token     {index, text, token_ids}       `index` is the first token's; text may lag behind
    end       {status, finish_reason, reason, usage}

An event's id is its place. Without an `end` the stream is not over, whatever became of the
connection: the reader comes back with `Last-Event-ID`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from flask import Response, request
from redis.exceptions import RedisError

from api import event_stream
from api.services import services
from headrace.core.errors import InvalidRequest, JobNotFound
from headrace.core.events import TokenEvent
from headrace.core.jobs.job import Job
from headrace.core.types import JobState

RETRY_MS = 1000
"""How long a browser waits before it comes back."""

HEADER, PARAMETER = "Last-Event-ID", "after"
PLACE = re.compile(r"([0-9]{1,9})-([012])")
LAST_TOKENS, END = 1, 2


@dataclass(frozen=True, slots=True)
class Place:
    """What a reader has: `count` tokens; of the entry that ends a stream its tokens, or its end."""

    count: int = 0
    part: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `ValueError`."""
        found = PLACE.fullmatch(text)
        if not found:
            raise ValueError("not a place")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.count}-{self.part}"

    @property
    def entry(self) -> str:
        """The place in the token stream behind which there is something for this reader."""
        return f"{self.count}-0"


def answer(job: Job, asked: str) -> Response:
    """The stream, behind the place that the caller names. Raises `InvalidRequest`."""
    after = _asked_place(job, asked)
    if after.part == END:
        return Response(status=204)  # tells a browser to come back no more
    return event_stream.respond(_blocks(job, after), job.id)


def _asked_place(job: Job, asked: str) -> Place:
    """The header is newer: a browser that comes back repeats its address as it was."""
    place = _place(job, PARAMETER, asked)
    if header := request.headers.get(HEADER):
        place = _place(job, HEADER, header)
    return place


def _place(job: Job, name: str, text: str) -> Place:
    try:
        place = Place.parse(text)
    except ValueError as error:
        raise InvalidRequest(f"{name}: the id of an event of this stream, as 12-0", name) from error
    if place.count > job.request.sampling.max_tokens:
        raise InvalidRequest(f"{name}: this job has no token {place.count}", name)
    return place


def _blocks(job: Job, after: Place) -> Iterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    waits = job.position is not None
    if waits:
        yield _position(job)
    for batch in services().follower.tokens([job.id], after.entry):
        if batch:
            waits = False
            yield "".join(block for _job, event in batch for block in _events(job, event, after))
        else:
            yield _sign_of_life(job.id) if waits else event_stream.KEEP_ALIVE


def _sign_of_life(job_id: str) -> str:
    try:
        job = services().queue.get(job_id)
    except (JobNotFound, RedisError):
        return event_stream.KEEP_ALIVE
    return event_stream.KEEP_ALIVE if job.position is None else _position(job)


def _position(job: Job) -> str:
    return event_stream.render("position", {"position": job.position})


def _events(job: Job, event: TokenEvent, after: Place) -> Iterator[str]:
    """Last tokens and the end are two events: a connection may break between them."""
    place = Place(event.count, 0 if event.state is None else LAST_TOKENS)
    if (event.token_ids or event.text) and place != after:
        index = event.count - len(event.token_ids)
        data = {"index": index, "text": event.text, "token_ids": event.token_ids}
        yield event_stream.render("token", data, place)
    if event.state is not None:
        yield event_stream.render("end", _end(job, event), Place(event.count, END))


def _end(job: Job, event: TokenEvent) -> dict[str, object]:
    succeeded = event.state is JobState.SUCCEEDED
    return {
        "status": event.state,
        "finish_reason": event.reason if succeeded else None,
        "reason": None if succeeded else event.reason,
        "usage": {
            "prompt_tokens": len(job.request.prompt_ids),
            "completion_tokens": event.count,
        },
    }
