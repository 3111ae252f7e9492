"""Compiling a grammar apart from the pipeline, on a model that computes nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import openvino_genai

from batcher.openvino_engine.probe_model import write_probe_model
from batcher.openvino_engine.row import tensor
from batcher.schema_trial import DRAWN_TOKENS

_PLAIN = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
"""In bf16 the plugin divides by zero where a model is this small."""

_PROMPT = [1]


class GrammarCompiler:
    """A pipeline with a tokenizer and a size of vocabulary, and one empty layer.

    Both decide what a compile takes: each state of a grammar is held against every token. The
    tokenizer keeps the grammars that were compiled, so another pipeline with the same `tokenizer`
    and `vocabulary` finds them there.
    """

    def __init__(self, tokenizer: openvino_genai.Tokenizer, vocabulary: int) -> None:
        scheduling = openvino_genai.SchedulerConfig()
        scheduling.num_kv_blocks = 16
        with TemporaryDirectory(prefix="headrace-") as folder:
            file = write_probe_model(Path(folder) / "probe.gguf", vocabulary)
            self._pipeline = openvino_genai.ContinuousBatchingPipeline(
                file, tokenizer, scheduling, "CPU", **_PLAIN
            )

    def compile(self, grammar: str) -> str | None:
        """Returns why the grammar cannot be compiled; None where it was.

        Other threads of Python go on meanwhile, which they do not during a `step`.
        """
        try:
            self._pipeline.generate([tensor(_PROMPT)], [_config(grammar, 1)])
        except (RuntimeError, MemoryError) as error:
            return _reason(error)
        return None

    def token_times(self, grammar: str) -> Iterator[float]:
        """CPU time of each step of an output that is drawn at random, after the compile's own."""
        handle = self._pipeline.add_request(0, tensor(_PROMPT), _config(grammar, DRAWN_TOKENS))
        while handle.get_status() == openvino_genai.GenerationStatus.RUNNING:
            began = time.process_time()
            self._pipeline.step()
            yield time.process_time() - began


def _config(grammar: str, tokens: int) -> openvino_genai.GenerationConfig:
    config = openvino_genai.GenerationConfig(max_new_tokens=tokens, do_sample=True)
    config.structured_output_config = openvino_genai.StructuredOutputConfig(grammar=grammar)
    return config


def _reason(error: Exception) -> str:
    """The compiler's message, without the place in its source."""
    lines = str(error).strip().splitlines()
    return re.sub(r"^.*\.(cc|cpp|h|hpp):\d+: ", "", lines[0] if lines else "unusable")[:500]
