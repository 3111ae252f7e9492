"""Continuous batching of transformers: what `model.generate_batch` does, with its manager kept.

Only what a CPU needs is set: the size of the cache and of a step, which it would take from the
memory of a GPU.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from transformers import ContinuousBatchingConfig

from bench.engine_workloads import Prompt
from bench.peers.pipe import Answers, batch_reply, prompts_of, serve
from bench.peers.torch_model import load_plainly

PAGE_TOKENS = 256
PAGES_A_SLOT = 3
ANSWER_S = 120


def _load(arguments: argparse.Namespace) -> Answers:
    model = load_plainly(arguments)
    model.generation_config.do_sample = False
    manager = model.init_continuous_batching(
        continuous_batching_config=ContinuousBatchingConfig(
            page_size=PAGE_TOKENS,
            num_blocks=PAGES_A_SLOT * arguments.slots,
            max_batch_tokens=arguments.step_tokens,
            max_requests_per_batch=arguments.slots,
        )
    )
    manager.start()

    def batch(question: dict[str, Any]) -> dict[str, Any]:
        return run_batch(manager, prompts_of(question), question["concurrency"])

    return {"batch": batch}


def run_batch(manager: Any, prompts: Sequence[Prompt], concurrency: int) -> dict[str, Any]:
    waiting = deque(prompts)
    left: dict[str, Prompt] = {}
    started = time.perf_counter()
    while waiting or left:
        while waiting and len(left) < concurrency:
            prompt = waiting.popleft()
            name = manager.add_request(list(prompt.ids), max_new_tokens=prompt.output_tokens)
            left[name] = prompt
        result = manager.get_result(timeout=ANSWER_S)
        if result is None:
            raise RuntimeError("generate_batch gave no answer")
        prompt = left.pop(result.request_id)
        if result.error or len(result.generated_tokens) != prompt.output_tokens:
            raise RuntimeError(f"generate_batch: {result.error or 'another number of tokens'}")
    return batch_reply(prompts, time.perf_counter() - started)


if __name__ == "__main__":
    serve(_load)
