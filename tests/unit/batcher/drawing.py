"""What the tests of the sampler share: draws in few words, and the ids that they bring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from batcher.torch_engine.draw import Draw
from batcher.torch_engine.sampler import Sampler, Token
from headrace.core.types import Sampling


def draw(place: int = 0, **rules: Any) -> Draw:
    """The draw of the output token at `place`, behind an output of no interest."""
    return Draw(make_rules(rules), ids=range(place), prompt_tokens=0)


def draw_after(prompt: Sequence[int], output: Sequence[int], **rules: Any) -> Draw:
    return Draw(make_rules(rules), ids=[*prompt, *output], prompt_tokens=len(prompt))


def make_rules(rules: dict[str, Any]) -> Sampling:
    return Sampling(max_tokens=1, **{"temperature": 1.0, **rules})


def sample(logits: Tensor, draws: Sequence[Draw]) -> list[Token]:
    """Samples with a sampler that has seen no other rows."""
    return Sampler()(logits, draws)


def sample_ids(logits: Tensor, draws: Sequence[Draw]) -> list[int]:
    return [token.id for token in sample(logits, draws)]


def sample_one(logits: Tensor, one: Draw) -> Token:
    """`logits` [vocabulary]"""
    return sample(logits[None], [one])[0]
