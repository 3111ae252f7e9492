"""`model.generate` of transformers, as most scripts call it: one padded batch after another."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import torch

from bench.engine_workloads import Prompt
from bench.peers.pipe import Answers, batch_reply, prompts_of, serve
from bench.peers.torch_model import load_plainly


def _load(arguments: argparse.Namespace) -> Answers:
    model = load_plainly(arguments)

    def batch(question: dict[str, Any]) -> dict[str, Any]:
        return run_batches(model, prompts_of(question), question["concurrency"])

    return {"batch": batch}


def run_batches(model: Any, prompts: Sequence[Prompt], concurrency: int) -> dict[str, Any]:
    """In order of arrival; each batch is as wide as its longest prompt and runs to its longest
    output."""
    steps = 0
    started = time.perf_counter()
    for start in range(0, len(prompts), concurrency):
        steps += generate(model, prompts[start : start + concurrency])
    return batch_reply(prompts, time.perf_counter() - started, steps=steps)


def generate(model: Any, prompts: Sequence[Prompt]) -> int:
    """The forwards that it took."""
    width = max(len(prompt.ids) for prompt in prompts)
    longest = max(prompt.output_tokens for prompt in prompts)
    rows = [[0] * (width - len(prompt.ids)) + list(prompt.ids) for prompt in prompts]
    seen = [[0] * (width - len(prompt.ids)) + [1] * len(prompt.ids) for prompt in prompts]
    output = model.generate(
        torch.tensor(rows),
        attention_mask=torch.tensor(seen),
        max_new_tokens=longest,
        do_sample=False,
        pad_token_id=0,
    )
    if output.shape[1] != width + longest:
        raise RuntimeError(f"{output.shape[1] - width} new tokens instead of {longest}")
    return longest


if __name__ == "__main__":
    serve(_load)
