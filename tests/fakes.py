"""Stand-ins at the seams: a clock that is told the time, a card without a model, requests."""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from headrace.core.model_card import ModelCard
from headrace.core.types import Priority, Request, Sampling

EOS = "<|end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


class FakeClock:
    """Time stands still until somebody sleeps or advances it."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def make_card(name: str = "tiny", context_tokens: int = 256) -> ModelCard:
    """One token a byte, so that lengths in tests are easy to say."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: index for index, character in enumerate([*alphabet, EOS])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([EOS])
    return ModelCard(
        name=name,
        tokenizer_json=json.dumps(json.loads(tokenizer.to_str())),
        context_tokens=context_tokens,
        eos_token_ids=(len(alphabet),),
        eos_token=EOS,
        chat_template=CHAT_TEMPLATE,
    )


CARD = make_card()


def make_request(job_id: str = "job-1", **changes: Any) -> Request:
    """A request of five prompt tokens and four output tokens, but for what a test changes."""
    prompt = changes.pop("prompt", "hello")
    sampling = Sampling(
        max_tokens=changes.pop("max_tokens", 4),
        temperature=0.0,
        expected_tokens=changes.pop("expected_tokens", 0),
    )
    fields: dict[str, Any] = {
        "id": job_id,
        "model": CARD.name,
        "card_hash": CARD.hash,
        "prompt_ids": CARD.tokenize(prompt),
        "sampling": sampling,
        "priority": Priority.DEFAULT,
    }
    return Request(**fields | changes)
