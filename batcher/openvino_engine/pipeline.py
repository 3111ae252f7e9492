"""Loading a folder of OpenVINO files: its pipeline, its vocabulary, the size of its cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openvino
import openvino_genai

from batcher.fidelity.number_format import number_format
from batcher.model_source import OPENVINO_MODEL
from batcher.openvino_engine.cache_size import CacheSize, cache_size
from headrace.core.errors import ModelError
from headrace.core.settings import Settings

TOKENIZER_FILE = "openvino_tokenizer.xml"

FLOAT32 = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}
"""Without any of these a token depends on how many rows are computed together."""

QUANTISED_CACHE = {"KV_CACHE_PRECISION": "u8"}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """`runner` is openvino-genai's; its model knows the ids [0, `vocabulary`)."""

    runner: openvino_genai.ContinuousBatchingPipeline
    vocabulary: int
    cache: CacheSize
    has_tokenizer: bool


def load_pipeline(settings: Settings, folder: Path, context_tokens: int) -> Pipeline:
    """The pipeline of the model in `folder`, for sequences of up to `context_tokens`.

    Raises `ModelError` when it cannot be read, or its cache does not fit the memory.
    """
    try:
        model = openvino.Core().read_model(folder / OPENVINO_MODEL)
        cache = cache_size(settings, _token_bytes(settings, model), context_tokens)
        runner = openvino_genai.ContinuousBatchingPipeline(
            folder, _scheduling(settings, cache), "CPU", properties_of(settings)
        )
        vocabulary = model.output("logits").get_partial_shape()[-1].get_length()
    except RuntimeError as error:
        raise ModelError(f"cannot load the OpenVINO model in {folder}: {error}") from error
    return Pipeline(runner, vocabulary, cache, (folder / TOKENIZER_FILE).is_file())


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
