"""What the tests of TorchEngine share: engines in few words, and transformers' `generate`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from batcher.model_store import PreparedModel
from batcher.torch_engine.engine import TorchEngine
from batcher.torch_engine.model import load_model
from headrace.core.settings import Settings, load_settings
from tests.unit.batcher.driving import Output

TIE = 1e-4
"""Where the two best logits are closer than this, either may win."""


def settings(**overrides: Any) -> Settings:
    defaults = {"engine": "torch", "dtype": "float32", "max_slots": 4, "prefill_tokens": 16}
    return load_settings(**defaults | {"threads": 1} | overrides)


def engine_of(prepared: PreparedModel, **overrides: Any) -> TorchEngine:
    own = settings(**overrides)
    return TorchEngine(load_model(own, prepared.path), own, prepared.card)


def assert_greedy(model: Any, prompt_ids: Sequence[int], output: Output, max_tokens: int) -> None:
    """Equal to `generate`, but for places where two logits are as good as equal."""
    ids = torch.tensor([prompt_ids])
    made = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=max_tokens,
        do_sample=False,
        return_dict_in_generate=True,
        output_scores=True,
    )
    expected = made.sequences[0, len(prompt_ids) :].tolist()
    if output.ids == expected:
        return
    pairs = enumerate(zip_longest(output.ids, expected))
    place = next(n for n, (ours, theirs) in pairs if ours != theirs)
    assert place < len(expected), f"{output.ids} goes on behind {expected}"
    best, second = made.scores[place][0].topk(2).values.tolist()
    assert best - second <= TIE, f"token {place}: {output.ids} instead of {expected}"


def plain_model(prepared: PreparedModel) -> Any:
    return AutoModelForCausalLM.from_pretrained(prepared.path, dtype=torch.float32)
