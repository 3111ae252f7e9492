"""Loading a folder of OpenVINO files: its pipeline, its vocabulary, the size of its cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openvino
import openvino_genai

from batcher.fidelity.number_format import number_format
from batcher.model_source import OPENVINO_MODEL
from batcher.openvino_engine.cache_size import CacheSize, blocks_of, cache_size
from batcher.openvino_engine.paged_model import PagedModel
from headrace.core.errors import ModelError
from headrace.core.memory import available_memory, machine_memory
from headrace.core.settings import Settings

TOKENIZER_FILE = "openvino_tokenizer.xml"

FLOAT32 = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}
"""Without any of these a token depends on how many rows are computed together."""

WEIGHTS_UNPACKED, RESERVE_BYTES = 2, 200_000_000
"""What a compiled model takes of the memory: times its weights in the file, and beside them."""

SECOND_SEQUENCES = 4
"""Sequences of full length that the cache of a second model has room for."""

QUANTISED_CACHE = {"KV_CACHE_PRECISION": "u8"}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """`runner` is openvino-genai's; its model knows the ids [0, `vocabulary`).

    `folder` and `properties` are what it was loaded with. The model may be loaded once more, with a
    cache of `second_blocks`.
    """

    runner: openvino_genai.ContinuousBatchingPipeline
    vocabulary: int
    cache: CacheSize
    has_tokenizer: bool
    folder: Path
    properties: dict[str, Any]
    second_blocks: int

    @property
    def has_memory_for_two(self) -> bool:
        """Whether the machine is large enough for the model to be loaded once more."""
        return 2 * self._second_bytes < machine_memory()

    def load_again(self) -> PagedModel:
        """The model once more. Raises `ModelError`, and `MemoryError` where too little is free."""
        free = available_memory()
        if self._second_bytes > free:
            needs = f"the model needs {self._second_bytes / 1e9:.1f} GB once more"
            raise MemoryError(f"{needs}, {free / 1e9:.1f} are free")
        return PagedModel(self.folder, self.properties, self.second_blocks)

    @property
    def _second_bytes(self) -> int:
        """Bytes of the model, compiled: its weights may be unpacked to twice their size."""
        weights = (self.folder / OPENVINO_MODEL).with_suffix(".bin")
        return WEIGHTS_UNPACKED * weights.stat().st_size + RESERVE_BYTES


def load_pipeline(settings: Settings, folder: Path, context_tokens: int) -> Pipeline:
    """The pipeline of the model in `folder`, for sequences of up to `context_tokens`.

    Raises `ModelError` when it cannot be read, or its cache does not fit the memory.
    """
    try:
        model = openvino.Core().read_model(folder / OPENVINO_MODEL)
        cache = cache_size(settings, _token_bytes(settings, model), context_tokens)
        properties = properties_of(settings)
        runner = openvino_genai.ContinuousBatchingPipeline(
            folder, _scheduling(settings, cache), "CPU", properties
        )
        vocabulary = model.output("logits").get_partial_shape()[-1].get_length()
    except RuntimeError as error:
        raise ModelError(f"cannot load the OpenVINO model in {folder}: {error}") from error
    has_tokenizer = (folder / TOKENIZER_FILE).is_file()
    blocks = min(cache.blocks, SECOND_SEQUENCES * blocks_of(context_tokens))
    return Pipeline(runner, vocabulary, cache, has_tokenizer, folder, properties, blocks)


def _scheduling(settings: Settings, cache: CacheSize) -> openvino_genai.SchedulerConfig:
    scheduling = openvino_genai.SchedulerConfig()
    scheduling.max_num_seqs = settings.max_slots
    # Rows that decode wait for all that a step reads: half of it costs no throughput.
    scheduling.max_num_batched_tokens = max(settings.max_slots, settings.prefill_tokens // 2)
    scheduling.num_kv_blocks = cache.blocks
    scheduling.dynamic_split_fuse = True
    scheduling.enable_prefix_caching = settings.prefix_caching
    return scheduling


def properties_of(settings: Settings) -> dict[str, Any]:
    """Properties that the model is compiled with."""
    # Not where another worker may come later: both would sit on the same cores.
    stays_alone = max(settings.workers, settings.scaler_max or 0) <= 1
    properties: dict[str, Any] = {"ENABLE_CPU_PINNING": stays_alone}
    if settings.threads:
        properties["INFERENCE_NUM_THREADS"] = settings.threads
    if settings.dtype == "float32":
        return properties | FLOAT32
    if settings.dtype == "bfloat16":
        properties["INFERENCE_PRECISION_HINT"] = "bf16"
    if number_format(settings, "openvino") == "int8":
        properties["INFERENCE_PRECISION_HINT"] = "f32"  # activations are quantised beneath it
    return properties | QUANTISED_CACHE


def _token_bytes(settings: Settings, model: openvino.Model) -> int:
    """Bytes that one token fills in the caches of all layers: [batch, heads, tokens, dim] each."""
    total = 0
    for variable in model.get_variables():
        shape = variable.get_info().data_shape
        if len(shape) != 4 or shape[1].is_dynamic or shape[3].is_dynamic:
            raise ModelError(f"its state {variable.get_info().variable_id} is not of attention")
        heads, dim = shape[1].get_length(), shape[3].get_length()
        # A quantised cache has scales and zero points beside its bytes: 12 a row, 16 at the most.
        total += heads * (dim * 4 if settings.dtype == "float32" else dim + 16)
    return total
