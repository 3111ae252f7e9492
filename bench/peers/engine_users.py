"""Users of our engine, called directly: the requests that the API would make of theirs, no queue.

Its settings are the variables of a worker, and a request enters before the step at which a slot is
free for it. It waits at the pipe between runs, where it computes nothing.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from api.schemas import NO_DEFAULTS, ChatBody
from batcher.engine import Engine, load_engine
from batcher.model_store import prepare_model
from bench.closed_loop import Answer, Course, DrawnPrompts
from bench.peers.pipe import Answers, serve
from headrace.core.model_card import ModelCard
from headrace.core.sampling_defaults import SamplingDefaults
from headrace.core.settings import load_settings
from headrace.core.types import Delta, Request
from headrace.loadtest.calibration import FEW_WORDS, MANY_WORDS
from headrace.loadtest.prompts import Prompt, WordLength, WordPrompts

READY_A_USER = 4
"""Requests that are tokenised before a run; those behind them are when their time comes."""


class ChatRequests:
    """Requests as the API makes them of chats, with the rules that it fills in."""

    def __init__(self, card: ModelCard, defaults: SamplingDefaults) -> None:
        self._card = card
        self._defaults = defaults
        self._made = 0
        self._length = self._measure()

    def of(self, course: Course) -> Iterator[Request]:
        prompts = DrawnPrompts(self._length, course.seed)
        while True:
            yield self._request(prompts.next(course.prompt_tokens, course.output_tokens))

    def _request(self, prompt: Prompt) -> Request:
        body = ChatBody.model_validate(
            {"messages": prompt.messages, "max_tokens": prompt.max_tokens, "temperature": 0.0}
        )
        rules = body.sampling(prompt.max_tokens, 0, self._defaults)
        self._made += 1
        prompt_ids = self._card.tokenize_chat(prompt.messages)
        return Request(str(self._made), self._card.name, self._card.hash, prompt_ids, rules)

    def _measure(self) -> WordLength:
        """How many tokens a word is, as the load tester measures it on a server."""
        prompts = WordPrompts(WordLength(), seed=0)
        few, many = (
            len(self._card.tokenize_chat(prompts.next(words, max_tokens=1).messages))
            for words in (FEW_WORDS, MANY_WORDS)
        )
        return WordLength.measured((FEW_WORDS, few), (MANY_WORDS, many))


class EngineUsers:
    """Users of one loaded engine."""

    def __init__(self, engine: Engine, requests: ChatRequests) -> None:
        self._engine = engine
        self._requests = requests
        self._waiting: deque[Request] = deque()
        self._asked: dict[str, float] = {}
        self._answers: dict[str, Answer] = {}

    def run(self, course: Course) -> list[Answer]:
        """Answers to the window's end, those that were under way then included."""
        self._asked, self._answers = {}, {}
        drawn = self._requests.of(course)
        requests = chain(list(islice(drawn, READY_A_USER * course.users)), drawn)
        time.sleep(max(0.0, course.begins_at - time.monotonic()))
        for _user in range(course.users):
            self._ask(next(requests))
        while time.monotonic() < course.closes_at:
            self._fill()
            for delta in self._engine.step():
                if self._take(delta):
                    self._ask(next(requests))
        self._leave()
        return list(self._answers.values())

    def _ask(self, request: Request) -> None:
        self._asked[request.id] = time.monotonic()
        self._waiting.append(request)

    def _fill(self) -> None:
        """Adds those that have room, in the order in which they were asked."""
        room = self._engine.room()
        slots, tokens = room.slots, room.tokens
        while self._waiting and slots > 0 and self._waiting[0].cost_tokens <= tokens:
            request = self._waiting.popleft()
            self._engine.add(request)
            slots, tokens = slots - 1, tokens - request.cost_tokens

    def _take(self, delta: Delta) -> bool:
        """Whether this was the end of an answer. Raises `RuntimeError` where it failed."""
        if delta.error is not None:
            raise RuntimeError(f"a request failed: {delta.error}")
        if delta.token_ids:
            now = time.monotonic()
            known = self._answers.get(delta.request_id)
            first, tokens = (known.first, known.tokens) if known else (now, 0)
            tokens += len(delta.token_ids)
            asked = self._asked[delta.request_id]
            self._answers[delta.request_id] = Answer(asked, first, now, tokens)
        return delta.is_last

    def _leave(self) -> None:
        """Nothing is left to do for the engine between runs."""
        for request_id in self._asked:
            self._engine.abort(request_id)
        self._waiting.clear()
        while not self._engine.is_idle:
            self._engine.step()


def _load(arguments: argparse.Namespace) -> Answers:
    settings = load_settings()
    model = prepare_model(settings, lambda _stage: None)
    is_on = settings.sampling_defaults == "model"
    defaults = model.card.extras.sampling if is_on else NO_DEFAULTS
    users = EngineUsers(load_engine(settings, model), ChatRequests(model.card, defaults))

    def run(question: dict[str, Any]) -> dict[str, Any]:
        return {"answers": [each.encode() for each in users.run(Course(**question))]}

    return {"run": run}


if __name__ == "__main__":
    serve(_load, lambda: argparse.Namespace())
