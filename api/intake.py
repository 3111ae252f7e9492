"""From a parsed body to a request: template, tokens, and whether it fits. Bad input stops here."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import uuid4

import gevent

from api import request_id
from api.caller import caller
from api.http_metrics import HttpMetrics
from api.schemas import Body, ChatBody, CompletionBody, JobBody, Message
from headrace.core.card_store import CardStore
from headrace.core.errors import InvalidRequest, UnknownModel
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings
from headrace.core.types import Request


class Intake:
    """Makes requests for the deployment's one model."""

    def __init__(self, cards: CardStore, settings: Settings, metrics: HttpMetrics) -> None:
        self._cards = cards
        self._settings = settings
        self._metrics = metrics

    def completion(self, body: CompletionBody) -> Request:
        return self._request(body, lambda card: card.tokenize(body.prompt), "prompt")

    def chat(self, body: ChatBody) -> Request:
        return self._request(body, lambda card: _tokenize_chat(card, body.messages), "messages")

    def job(self, body: JobBody) -> Request:
        prompt, messages = body.prompt, body.messages
        if messages is not None:
            tokenize, param = lambda card: _tokenize_chat(card, messages), "messages"
        else:
            tokenize, param = lambda card: card.tokenize(prompt or ""), "prompt"
        return self._request(body, tokenize, param)

    def _request(
        self, body: Body, tokenize: Callable[[ModelCard], tuple[int, ...]], param: str
    ) -> Request:
        card = self._cards.current()
        if body.model not in (None, card.name):
            raise UnknownModel(
                f"model {body.model!r} is not served here; {card.name!r} is",
                "model",
                "model_not_found",
            )
        started = time.perf_counter()
        # In a thread: a long prompt must not hold up the other requests of this process.
        prompt_ids = gevent.get_hub().threadpool.apply(tokenize, (card,))
        tokenize_s = time.perf_counter() - started
        self._metrics.tokenized(tokenize_s)
        max_tokens = self._fit(len(prompt_ids), body.output_limit, card, param)
        return Request(
            id=uuid4().hex,
            model=card.name,
            card_hash=card.hash,
            prompt_ids=prompt_ids,
            sampling=body.sampling(max_tokens),
            priority=body.priority,
            deadline_s=body.deadline_s,
            tokenize_s=tokenize_s,
            request_id=request_id.current(),
            tenant=caller().tenant,
        )

    def _fit(self, prompt_tokens: int, limit: int | None, card: ModelCard, param: str) -> int:
        """The output tokens to allow; a prompt or a limit that cannot fit is refused."""
        room = card.context_tokens - prompt_tokens
        if prompt_tokens == 0:
            raise InvalidRequest(f"{param}: no tokens in it", param)
        if room < 1:
            raise InvalidRequest(
                f"{param}: {prompt_tokens} tokens, the model's context is {card.context_tokens}",
                param,
                "context_length_exceeded",
            )
        if limit is not None and limit > room:
            raise InvalidRequest(
                f"max_tokens: {limit}, but {prompt_tokens} prompt tokens leave {room} of the "
                f"model's context of {card.context_tokens}",
                "max_tokens",
                "context_length_exceeded",
            )
        return limit or min(self._settings.default_max_tokens, room)


def _tokenize_chat(card: ModelCard, messages: list[Message]) -> tuple[int, ...]:
    return card.tokenize_chat([message.model_dump() for message in messages])
