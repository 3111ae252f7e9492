"""From a parsed body to a request: template, tokens, and whether it fits. Bad input stops here."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gevent

from api import request_id
from api.body import read_body
from api.caller import caller
from api.conversation import conversation
from api.http_metrics import HttpMetrics
from api.messages import Message
from api.prompts import Prompt
from api.schema_check import SchemaCheck
from api.schemas import NO_DEFAULTS, Body, ChatBody, CompletionBody, JobBody
from api.traces import Traces
from headrace.core.card_store import CardStore
from headrace.core.errors import InvalidRequest, UnknownModel
from headrace.core.jobs.pace import PaceMeter
from headrace.core.model_card import ModelCard
from headrace.core.roster import Roster
from headrace.core.sampling_defaults import SamplingDefaults
from headrace.core.settings import Settings
from headrace.core.types import Feature, Request, Sampling

Tokenize = Callable[[ModelCard], tuple[int, ...]]

RARE = {
    Feature.TOP_LOGPROBS: ("logprobs", "name alternatives of a token"),
    Feature.JSON_SCHEMA: ("response_format", "hold its output to a JSON schema"),
    Feature.LOGIT_BIAS: ("logit_bias", "change the logits of single tokens"),
}
"""What not every engine can do: the field that asks for it, and what it asks."""

MOST_LOGPROBS = 200_000
"""Of all tokens and alternatives of one answer, which is one piece of JSON of 100 bytes each."""

SHORT_BYTES = 4_000
"""A body of this size is tokenised at once."""


class Intake:
    """Makes requests for the deployment's one model: one for each choice of each prompt."""

    def __init__(
        self,
        cards: CardStore,
        roster: Roster,
        schemas: SchemaCheck,
        settings: Settings,
        metrics: HttpMetrics,
        traces: Traces,
        pace: PaceMeter,
    ) -> None:
        self._cards = cards
        self._roster = roster
        self._schemas = schemas
        self._settings = settings
        self._metrics = metrics
        self._traces = traces
        self._pace = pace

    def completion(self, body: CompletionBody) -> list[Request]:
        """The choices of the first prompt come first."""
        prompts = [partial(_tokenize_prompt, prompt=prompt) for prompt in body.prompt]
        return self._requests(body, prompts, "prompt", body.n)

    def chat(self, body: ChatBody) -> list[Request]:
        prompt = self._chat_prompt(body.messages, body.chat_template_kwargs)
        return self._requests(body, [prompt], "messages", body.n, is_chat=True)

    def job(self, body: JobBody) -> Request:
        prompt: Tokenize = partial(_tokenize_prompt, prompt=body.prompt or "")
        if body.messages is not None:
            prompt = self._chat_prompt(body.messages, body.chat_template_kwargs)
        param = "prompt" if body.messages is None else "messages"
        is_chat = body.messages is not None
        [request] = self._requests(body, [prompt], param, is_chat=is_chat)
        return request

    def card(self, model: str | None) -> ModelCard:
        """That of the one model. Raises `UnknownModel` where another one is asked for."""
        card = self._cards.current()
        if model not in (None, card.name):
            raise UnknownModel(
                f"model {model!r} is not served here; {card.name!r} is", "model", "model_not_found"
            )
        return card

    def sampling_defaults(self, card: ModelCard) -> SamplingDefaults:
        """Rules of requests that name none: the model's own, unless a setting turns those off."""
        is_on = self._settings.sampling_defaults == "model"
        return card.extras.sampling if is_on else NO_DEFAULTS

    def _chat_prompt(self, messages: list[Message], kwargs: dict[str, Any]) -> Tokenize:
        reads = self._settings.control_tokens_in_messages == "tokens"
        return lambda card: card.tokenize_chat(
            conversation(messages, card.chat_template), kwargs, reads
        )

    def _requests(
        self,
        body: Body,
        prompts: Sequence[Tokenize],
        param: str,
        n: int = 1,
        *,
        is_chat: bool = False,
    ) -> list[Request]:
        self._refuse_too_many(len(prompts) * n, param if len(prompts) > 1 else "n")
        card = self.card(body.model)
        _refuse_foreign_ids(body, card)
        tokenized, tokenize_s = self._tokenize(card, prompts)
        choices = [prompt_ids for prompt_ids in tokenized for _choice in range(n)]
        defaults, traceparent = self.sampling_defaults(card), self._traces.traceparent()
        limits = [self._fit(len(prompt_ids), body, card, param) for prompt_ids in choices]
        _refuse_too_many_logprobs(body, sum(limits))
        tenant = caller().tenant
        requests = [
            Request(
                id=secrets.token_hex(16),
                model=card.name,
                card_hash=card.hash,
                prompt_ids=prompt_ids,
                sampling=body.sampling(
                    limit,
                    index,
                    defaults,
                    self._expected(len(prompt_ids), body, card),
                ),
                priority=body.priority,
                deadline_s=body.deadline_s,
                ttl_s=self._ttl_s(body),
                tokenize_s=tokenize_s / len(choices),
                request_id=request_id.current(),
                tenant=tenant,
                traceparent=traceparent,
                is_chat=is_chat,
            )
            for index, (prompt_ids, limit) in enumerate(zip(choices, limits, strict=True))
        ]
        self._refuse_unable(requests[0].sampling)
        if (schema := requests[0].sampling.json_schema) is not None:
            self._schemas.require(schema, card)
        return requests

    def _tokenize(
        self, card: ModelCard, prompts: Sequence[Tokenize]
    ) -> tuple[list[tuple[int, ...]], float]:
        """The ids of each prompt, and the seconds that it took to make all of them."""
        started = time.perf_counter()
        tokenized = _in_a_thread_if_long(lambda: [tokenize(card) for tokenize in prompts])
        tokenize_s = time.perf_counter() - started
        self._metrics.tokenized(tokenize_s)
        return tokenized, tokenize_s

    def _ttl_s(self, body: Body) -> int | None:
        most = self._settings.result_ttl_max_s
        if body.ttl_s is not None and body.ttl_s > most:
            raise InvalidRequest(f"ttl_s: at most {most}", "ttl_s")
        return body.ttl_s

    def _refuse_too_many(self, jobs: int, param: str) -> None:
        """Raises `InvalidRequest` where the queue would be too short even if nobody waited."""
        most = self._settings.queue_max_jobs
        if jobs > most:
            raise InvalidRequest(f"{param}: {jobs} choices in all, the queue takes {most}", param)

    def _refuse_unable(self, sampling: Sampling) -> None:
        """Raises `InvalidRequest` for what a live worker's engine cannot do."""
        missing = sampling.needs and sampling.needs - self._roster.features()
        for feature in sorted(missing):
            param, asked = RARE[feature]
            message = f"{param}: the engine of this deployment cannot {asked}"
            raise InvalidRequest(message, param, "unsupported_value")

    def _fit(self, prompt_tokens: int, body: Body, card: ModelCard, param: str) -> int:
        """The output tokens to allow; a prompt or a limit that cannot fit is refused."""
        room, limit = card.context_tokens - prompt_tokens, body.output_limit
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
        return _long_enough(limit or self._most(room), body)

    def _most(self, room: int) -> int:
        """Returns the most output tokens of a request that names no limit."""
        return min(self._settings.default_max_tokens or room, room)

    def _expected(self, prompt_tokens: int, body: Body, card: ModelCard) -> int:
        """Returns how long an answer without a limit will probably be; 0 for one with a limit."""
        if body.output_limit is not None or body.ignore_eos:
            return 0
        most = self._most(card.context_tokens - prompt_tokens)
        return max(body.min_tokens, self._pace.current().expected_tokens(most))


def _long_enough(max_tokens: int, body: Body) -> int:
    """`max_tokens`. Raises `InvalidRequest` where the output is to be longer."""
    if body.min_tokens > max_tokens:
        message = f"min_tokens: {body.min_tokens}, more than max_tokens, which is {max_tokens} here"
        raise InvalidRequest(message, "min_tokens")
    return max_tokens


def _refuse_too_many_logprobs(body: Body, tokens: int) -> None:
    """Raises `InvalidRequest` where an answer could have more logprobs than `MOST_LOGPROBS`."""
    if body.wanted_logprobs is None:
        return
    logprobs = tokens * (1 + body.wanted_logprobs)
    if logprobs > MOST_LOGPROBS:
        raise InvalidRequest(
            f"logprobs: up to {logprobs} in one answer, at most {MOST_LOGPROBS}: name a smaller"
            " max_tokens, n or number of alternatives",
            "logprobs",
        )


def _refuse_foreign_ids(body: Body, card: ModelCard) -> None:
    """Raises `InvalidRequest` for ids in the rules that are not of the model's vocabulary."""
    if not body.stop_token_ids and not body.logit_bias:
        return
    tokens = card.tokenizer.get_vocab_size(with_added_tokens=True)
    for param, ids in (("stop_token_ids", body.stop_token_ids), ("logit_bias", body.logit_bias)):
        highest = max(map(int, ids), default=0)
        if highest >= tokens:
            raise InvalidRequest(f"{param}: {highest}, the model has ids below {tokens}", param)


def _in_a_thread_if_long(tokenize: Callable[[], list[tuple[int, ...]]]) -> list[tuple[int, ...]]:
    """A long prompt must not hold up the other requests of this process: it has a thread.

    For a short one the way there and back costs more than its tokens.
    """
    if len(read_body()) <= SHORT_BYTES:
        return tokenize()
    ids: list[tuple[int, ...]] = gevent.get_hub().threadpool.apply(tokenize)
    return ids


def _tokenize_prompt(card: ModelCard, prompt: Prompt) -> tuple[int, ...]:
    """Token ids are taken as they are. Raises `InvalidRequest` for ids that are none."""
    if isinstance(prompt, str):
        return card.tokenize(prompt)
    if max(prompt) >= card.vocabulary_size:
        raise InvalidRequest("prompt: a token id outside the model's vocabulary", "prompt")
    return tuple(prompt)
