"""openvino-genai called directly: its own pipeline, its own scheduler, nothing around them.

A step reads as many tokens as it does by itself: 256, which is no slower than 512.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino
import openvino_genai

from bench.engine_workloads import Prompt
from bench.peers.pipe import Answers, serve
from bench.peers.stepping import Count, answers

CACHE_GB = 2


class OpenVinoStepper:
    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._numbers = itertools.count()
        self._handles: dict[str, Any] = {}
        self._count = Count(0, 0)

    def add(self, name: str, prompt: Prompt) -> None:
        rules = openvino_genai.GenerationConfig(
            max_new_tokens=prompt.output_tokens, ignore_eos=True, do_sample=False
        )
        rules.apply_chat_template = False
        ids = openvino.Tensor(np.array([prompt.ids], dtype=np.int64))
        self._handles[name] = self._pipeline.add_request(next(self._numbers), ids, rules)

    def step(self) -> Mapping[str, int]:
        if not self._handles:
            raise RuntimeError("requests are missing: the pipeline has none left")
        self._pipeline.step()
        rows = self._pipeline.get_metrics().scheduled_requests
        self._count = Count(self._count.steps + 1, self._count.rows + rows)
        return {name: self._read(name) for name in list(self._handles)}

    def count(self) -> Count:
        return self._count

    def clear(self) -> None:
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()

    def _read(self, name: str) -> int:
        handle, tokens = self._handles[name], 0
        while handle.can_read():
            tokens += sum(len(output.generated_ids) for output in handle.read().values())
        status = handle.get_status()
        if status == openvino_genai.GenerationStatus.FINISHED:
            del self._handles[name]
        elif status != openvino_genai.GenerationStatus.RUNNING:
            raise RuntimeError(f"openvino-genai: the request is {status}")
        return tokens


def _load(arguments: argparse.Namespace) -> Answers:
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.max_num_seqs = arguments.slots
    scheduler.cache_size = CACHE_GB
    scheduler.dynamic_split_fuse = True
    scheduler.enable_prefix_caching = True
    pipeline = openvino_genai.ContinuousBatchingPipeline(
        arguments.model, scheduler, "CPU", {"INFERENCE_NUM_THREADS": arguments.threads}
    )
    return answers(OpenVinoStepper(pipeline))


if __name__ == "__main__":
    serve(_load)
