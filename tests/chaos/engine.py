"""A simulated engine that heeds markers, and answers in a voice of its worker's own."""

from __future__ import annotations

import os
import string
import zlib
from collections.abc import Sequence

from batcher.generation import Generation
from batcher.simulated import SimulatedEngine
from headrace.core.settings import Settings
from headrace.core.types import Delta, Request
from tests.chaos.markers import Mark, Misdeed, find_mark
from tests.fakes import CARD

HOG_BYTES = 128 * 1024 * 1024
KILLED_FOR_MEMORY = 137

ERRORS = {Misdeed.RAISE: "the step raised for this request", Misdeed.NAN: "NaN in the logits"}


class FaultyEngine(SimulatedEngine):
    """Every worker repeats a letter of its own, so that a text tells who wrote which part."""

    def __init__(self, settings: Settings, worker: str) -> None:
        super().__init__(settings, CARD)
        letter = string.ascii_letters[zlib.crc32(worker.encode()) % len(string.ascii_letters)]
        (self._letter_id,) = CARD.tokenize(letter)
        self._marks: dict[str, Mark] = {}

    def add(self, request: Request, resume_ids: Sequence[int] = ()) -> None:
        super().add(request, resume_ids)
        if mark := find_mark(CARD.tokenizer.decode(list(request.prompt_ids))):
            self._marks[request.id] = mark

    def step(self) -> list[Delta]:
        for request_id, mark in list(self._marks.items()):
            generation = self._generations.get(request_id)
            if generation is not None and generation.output_tokens >= mark.tokens:
                misbehave(mark.misdeed, generation)
        return super().step()

    def abort(self, request_id: str) -> None:
        super().abort(request_id)
        self._marks.pop(request_id, None)

    def _next_id(self, row: Generation) -> int:
        return self._letter_id


def misbehave(misdeed: Misdeed, generation: Generation) -> None:
    match misdeed:
        case Misdeed.EXIT:
            os._exit(1)
        case Misdeed.MEMORY:
            hog = b"x" * HOG_BYTES
            os._exit(KILLED_FOR_MEMORY if hog else 1)
        case Misdeed.RAISE | Misdeed.NAN:
            generation.error = ERRORS[misdeed]
