"""The chunks of a stream of OpenAI's, as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

from redis.exceptions import RedisError

from api.answers import Refused
from api.errors import TABLE, error_body
from api.event_stream import KEEP_ALIVE
from api.follower import failure
from api.openai_answers import Chunk
from api.openai_shapes import Shape
from api.schemas import StreamOptions
from api.services import services
from headrace.core.errors import JobNotFound
from headrace.core.events import TokenEvent
from headrace.core.jobs.job import Report
from headrace.core.types import JobState

DONE = "data: [DONE]\n\n"

ANY_TEXT = "\x00"
"""Stands for the text in a rendered chunk. No text can break out of its JSON, this one included."""


class Frame:
    """The chunk of a choice around its text: all that is the same in every chunk of mere text."""

    def __init__(self, shape: Shape, index: int) -> None:
        chunk = shape.text_piece(index, ANY_TEXT)
        # The text stands behind whatever else a caller named.
        self._head, _text, self._tail = _block(chunk).rpartition(json.dumps(ANY_TEXT))

    def around(self, text: str) -> str:
        return f"{self._head}{json.dumps(text)}{self._tail}"


class ChunkStream:
    """The chunks of all choices as they come; the first choice that fails ends it."""

    def __init__(self, shape: Shape, options: StreamOptions) -> None:
        self._shape = shape
        self._options = options
        self._frames = [Frame(shape, index) for index in range(len(shape.job_ids))]
        self._count = 0
        self._has_failed = False

    def blocks(self) -> Iterator[str]:
        """Yields one block for all chunks that arrive together.

        Headers go out at once, but no chunk before the first token: clients time it by that.
        """
        job_ids = self._shape.job_ids
        yield KEEP_ALIVE
        opening = "".join(map(_block, self._shape.openings()))
        for batch in services().follower.tokens(job_ids):
            block = "".join(self._write(*item) for item in batch)
            if block:
                yield opening + block
                opening = ""
            elif not batch:
                yield KEEP_ALIVE
            if self._has_failed:
                break
        else:
            if self._options.include_usage:
                yield _block(self._shape.tally(self._count, _reports(job_ids)))
        yield DONE

    def _write(self, index: int, event: TokenEvent) -> str:
        """Returns the chunks that an event brings; '' where it shows nothing."""
        if self._has_failed:
            return ""
        if event.state not in (None, JobState.SUCCEEDED):
            self._has_failed = True
            return _block(_error(self._shape.job_ids[index], event))
        self._count += len(event.token_ids)
        written = self._write_text(index, event)
        if event.state is None:
            return written
        return written + self._with_usage(self._shape.ending(index, event.reason))

    def _write_text(self, index: int, event: TokenEvent) -> str:
        is_mere_text = event.text and event.state is None and not event.logprobs
        if is_mere_text and not self._options.continuous_usage_stats:
            return self._frames[index].around(event.text)
        piece = self._shape.piece(index, event)
        return "" if piece is None else self._with_usage(piece)

    def _with_usage(self, chunk: Chunk) -> str:
        if self._options.continuous_usage_stats:
            chunk = chunk | self._shape.usage(self._count)
        return _block(chunk)


def _reports(job_ids: list[str]) -> list[Report | None]:
    """Reads the reports; None for those that cannot be read: their tokens are out already."""
    try:
        return services().queue.reports(job_ids)
    except RedisError:
        return [None] * len(job_ids)


def _cause(job_id: str) -> str:
    with suppress(JobNotFound, RedisError):
        return services().queue.get(job_id).error or ""
    return ""


def _error(job_id: str, event: TokenEvent) -> Refused:
    """As who waits for the job is told: its end in the stream names the reason in a word only."""
    error = failure(job_id, event.state or JobState.FAILED, event.reason, _cause(job_id))
    return {"error": error_body(error, TABLE[type(error)].type)}


def _block(data: Chunk | Refused) -> str:
    return f"data: {json.dumps(data)}\n\n"
