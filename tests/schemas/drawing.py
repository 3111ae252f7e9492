"""Output that the pipeline draws at random, held to a grammar by the library that it brings."""

from __future__ import annotations

from pathlib import Path

import openvino_genai

from batcher.openvino_engine.preparation import convert_gguf
from batcher.openvino_engine.probe_model import write_probe_model
from batcher.openvino_engine.row import tensor
from tests.tiny_models import make_tiny_llama_gguf

_PLAIN = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}


class Drawer:
    """A model of zeros: every token that the grammar allows is as likely as any other."""

    def __init__(self, folder: Path) -> None:
        convert_gguf(make_tiny_llama_gguf(folder / "gguf"), folder / "model")
        self._tokenizer = openvino_genai.Tokenizer(folder / "model")
        vocabulary = len(self._tokenizer.get_vocab())
        scheduling = openvino_genai.SchedulerConfig()
        scheduling.num_kv_blocks = 32
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(
            write_probe_model(folder / "probe.gguf", vocabulary),
            self._tokenizer,
            scheduling,
            "CPU",
            **_PLAIN,
        )

    def draw(self, grammar: str, seed: int, tokens: int) -> str | None:
        """One output; None where it was not over after so many tokens."""
        config = openvino_genai.GenerationConfig(max_new_tokens=tokens, do_sample=True)
        config.rng_seed = seed
        config.structured_output_config = openvino_genai.StructuredOutputConfig(grammar=grammar)
        [result] = self._pipeline.generate([tensor([1])], [config])
        ids = list(result.m_generation_ids[0])
        return None if len(ids) == tokens else str(self._tokenizer.decode(ids))
