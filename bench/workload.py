"""Requests for benchmarks without a model, the card they name, and settings that refuse none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from headrace.core.errors import QueueFull
from headrace.core.jobs.queue import JobQueue
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings, load_settings
from headrace.core.types import Request, Sampling

PROMPT_TOKENS = 16
PRINTABLE = 94
"""The first ids of the card's vocabulary are ASCII: no character of a text is ever unfinished."""
CHUNK = 100
"""Jobs that one call submits, where many are submitted together."""

_numbers = count()


def _make_card() -> ModelCard:
    """One token a byte: enough for engines without a model."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: index for index, character in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return ModelCard("bench", json.dumps(json.loads(tokenizer.to_str())), 2048, ())


CARD = _make_card()


def make_request(
    tenant: str = "default", max_tokens: int = 1, prompt_tokens: int = PROMPT_TOKENS
) -> Request:
    """One with an id that no other of this process has."""
    number = next(_numbers)
    prompt_ids = tuple((number + place) % PRINTABLE for place in range(prompt_tokens))
    rules = Sampling(max_tokens=max_tokens, temperature=0.0)
    return Request(f"bench-{number}", CARD.name, CARD.hash, prompt_ids, rules, tenant)


def roomy_settings(**changes: Any) -> Settings:
    """The environment's settings, but no bound of the queue is ever reached."""
    bounds = [
        name
        for name in Settings.model_fields
        if name.startswith(("queue", "tenant")) and name.endswith(("max_jobs", "max_tokens"))
    ]
    return load_settings(**dict.fromkeys(bounds, 10**9), **changes)


def can_submit_many() -> bool:
    return hasattr(JobQueue, "submit_many")


def submit_all(queue: JobQueue, requests: Iterable[Request]) -> None:
    """As fast as this version can. Raises `QueueFull`."""
    if can_submit_many():
        submit_chunks(queue, list(requests))
        return
    for request in requests:
        queue.submit(request)


def submit_chunks(queue: JobQueue, requests: Sequence[Request]) -> None:
    """Many a call. Raises `QueueFull`."""
    for start in range(0, len(requests), CHUNK):
        for answer in queue.submit_many(requests[start : start + CHUNK]):
            if isinstance(answer, QueueFull):
                raise answer
