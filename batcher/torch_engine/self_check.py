"""The self-check of a loaded model: does the engine compute what transformers computes?

It decides which models the torch engine runs; a list of families would always be out of date.
transformers lets a model attend to a cache of ours even where it then answers wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor

from batcher.generation import Generation
from batcher.torch_engine.difference import Difference
from batcher.torch_engine.forward import Forward
from batcher.torch_engine.model_errors import model_errors
from batcher.torch_engine.scheduler import Chunk, Plan
from headrace.core.errors import ModelError
from headrace.core.model_card import ModelCard
from headrace.core.types import Request, Sampling

TOKENS, CHUNK, DECODED, NEIGHBOUR = 24, 11, 2, 7
"""Ids of a sequence; of its first chunk; decoded one by one; of the prompt of its neighbour.

What is read at first exceeds the 16 rows up to which packed layers need no padding.
"""

SETS = 3
"""Sets of ids where numbers are coarse: in one of them two experts may be as good as equal."""

SEED = 22

Place = tuple[int, int]
"""Which sequence of a set, and the last id of it that was read."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Answers of the plain model behind each of some fixed ids.

    `ids` [sets, 2, tokens]: a sequence and its neighbour; `logits` [sets, 2, tokens, vocabulary].
    The engine computes in fp32 where the reference `is_fine`.
    """

    model_type: str
    is_fine: bool
    ids: Tensor
    logits: Tensor


@torch.inference_mode()
def make_reference(model: Any, card: ModelCard, is_quantised: bool = False) -> Reference:
    """Runs the model as transformers does, before anything of it is replaced.

    It has its own attention and layers, no cache, and reads each sequence at once. The engine's
    own weights may be `is_quantised`. Raises `ModelError` for a model that does not run.
    """
    tokens = min(TOKENS, card.context_tokens)
    is_fine = model.dtype == torch.float32 and not is_quantised
    shape = (1 if is_fine else SETS, 2, tokens)
    with model_errors(f"the model {card.name} does not run"):
        ids = torch.tensor(_draw(model, card, shape[0] * 2 * tokens)).view(-1, tokens)
        logits = model(input_ids=ids.to(model.device), use_cache=False).logits
        logits = logits.cpu().view(*shape, -1)
    return Reference(model.config.model_type, is_fine, ids.view(shape), logits)


@torch.inference_mode()
def check(reference: Reference, forward: Forward, card: ModelCard, has_neighbour: bool) -> None:
    """Reads a prompt in two chunks and decodes it, beside another row where there is room for one.

    The first two slots of the cache must be free. Raises `ModelError` where the answers differ.
    """
    model = f"the model {card.name} ({reference.model_type})"
    found: list[list[Difference]] = []
    for number in range(len(reference.ids)):
        with model_errors(f"{model} does not run"):
            found.append(_differences(reference, number, forward, card, has_neighbour))
        if all(each.is_small for each in found[0]):
            return  # further sets are for doubts
    for at_one_place in zip(*found, strict=True):
        wrong = [each for each in at_one_place if not each.is_small]
        if 2 * len(wrong) >= len(at_one_place):
            raise ModelError(
                f"the torch engine does not answer as {model} does in transformers: {wrong[0]};"
                " use another model"
            )


def _draw(model: Any, card: ModelCard, count: int) -> list[int]:
    """The same ids every time. Added tokens are left out: some models treat theirs differently."""
    vocabulary = min(
        model.get_input_embeddings().num_embeddings,
        card.tokenizer.get_vocab_size(with_added_tokens=True),
    )
    added = card.tokenizer.get_added_tokens_decoder()
    ordinary = [token_id for token_id in range(vocabulary) if token_id not in added]
    return Random(SEED).choices(ordinary or range(vocabulary), k=count)


def _differences(
    reference: Reference, number: int, forward: Forward, card: ModelCard, has_neighbour: bool
) -> list[Difference]:
    """One at each place of a set at which the engine gives logits."""
    expected, found = reference.logits[number], []
    for plan, places in _steps(reference.ids[number].tolist(), card, has_neighbour):
        for row, (sequence, last) in zip(forward(plan).cpu(), places, strict=True):
            found.append(Difference.between(row, expected[sequence, last], reference.is_fine))
    return found


def _steps(
    ids: Sequence[Sequence[int]], card: ModelCard, has_neighbour: bool
) -> Iterator[tuple[Plan, list[Place]]]:
    """The plans of the engine's steps, and the place of each row of their logits.

    The neighbour's prompt is read at once; it decodes while the sequence is read on.
    """
    sequence, neighbour = (_Row(slot, each, card) for slot, each in enumerate(ids))
    prompt = max(1, sequence.left - DECODED)
    beside = [neighbour] if has_neighbour else []
    chunks = [row.read(min(NEIGHBOUR, prompt)) for row in beside]
    if prompt > 1:
        chunks.append(sequence.read(min(CHUNK, prompt - 1), is_last=False))
    if chunks:
        yield Plan(chunks, {}), [row.place for row in beside]
    rows = [row for row in beside if row.left]
    decoding = {row.generation: row.decode() for row in rows}
    chunks = [sequence.read(prompt - sequence.tokens)]
    yield Plan(chunks, decoding), [row.place for row in (*rows, sequence)]
    while sequence.left:
        rows = [row for row in (sequence, *beside) if row.left]
        yield Plan((), {row.generation: row.decode() for row in rows}), [row.place for row in rows]


class _Row:
    """A sequence of which the engine has read `tokens` ids into `slot`."""

    def __init__(self, slot: int, ids: Sequence[int], card: ModelCard) -> None:
        request = Request("self-check", card.name, card.hash, (), Sampling(max_tokens=len(ids)))
        self.generation = Generation(request, card)
        self.tokens = 0
        self._slot = slot
        self._ids = ids

    @property
    def left(self) -> int:
        return len(self._ids) - self.tokens

    @property
    def place(self) -> Place:
        return self._slot, self.tokens - 1

    def read(self, count: int, is_last: bool = True) -> Chunk:
        start = self._go_on(count)
        return Chunk(self.generation, self._slot, start, self._ids[start : self.tokens], is_last)

    def decode(self) -> int:
        """The slot in which the next id is decoded."""
        self._go_on(1)
        return self._slot

    def _go_on(self, count: int) -> int:
        start, self.tokens = self.tokens, self.tokens + count
        self.generation.ids = list(self._ids[: self.tokens])
        return start
