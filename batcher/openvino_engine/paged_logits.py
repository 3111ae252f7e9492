"""The logits of a prepared model for every token of a text, computed as the pipeline does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino._offline_transformations import paged_attention_transformation

from batcher.model_source import OPENVINO_MODEL
from batcher.openvino_engine.cache_size import BLOCK_TOKENS
from headrace.core.errors import ModelError

CACHES = ("key_cache", "value_cache")
CHUNK_TOKENS = 64
"""Read at once, so that most of a text is attended to in the cache, at the cache's precision."""


def paged_logits(
    folder: Path, properties: dict[str, Any], ids: Sequence[int]
) -> NDArray[np.float32]:
    """[ids, vocabulary], with the pipeline's own attention, cache and number formats.

    The pipeline hands out logits of drawn tokens alone, so its model is run here without it.
    Raises `ModelError` for a model that this cannot be done with.
    """
    try:
        model = openvino.Core().read_model(folder / OPENVINO_MODEL)
        paged_attention_transformation(model)
        compiled = openvino.Core().compile_model(model, "CPU", properties)
        return _Reading(compiled, len(ids)).logits(ids)
    except RuntimeError as error:
        raise ModelError(f"cannot run the OpenVINO model in {folder}: {error}") from error


class _Reading:
    """One text in a cache of its own, read chunk by chunk."""

    def __init__(self, compiled: openvino.CompiledModel, tokens: int) -> None:
        self._request = compiled.create_infer_request()
        self._inputs = {port.get_any_name(): port for port in compiled.inputs}
        blocks = -(-tokens // BLOCK_TOKENS)
        for name, port in self._inputs.items():
            if name.startswith(CACHES):
                sizes = [
                    size.get_length() if size.is_static else blocks for size in port.partial_shape
                ]
                tensor = openvino.Tensor(port.get_element_type(), openvino.Shape(sizes))
                self._request.set_tensor(port, tensor)

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        parts = [
            self._read(ids[start : start + CHUNK_TOKENS], start)
            for start in range(0, len(ids), CHUNK_TOKENS)
        ]
        return np.concatenate(parts)

    def _read(self, ids: Sequence[int], past: int) -> NDArray[np.float32]:
        end = past + len(ids)
        blocks = -(-end // BLOCK_TOKENS)
        values: dict[str, Any] = {
            "input_ids": np.array(ids, np.int64),
            "position_ids": np.arange(past, end, dtype=np.int64),
            "past_lens": np.array([past], np.int32),
            "subsequence_begins": np.array([0, len(ids)], np.int32),
            "block_indices": np.arange(blocks, dtype=np.int32),
            "block_indices_begins": np.array([0, blocks], np.int32),
            "max_context_len": np.array(end, np.int32),
        }
        self._request.infer({name: values[name] for name in values if name in self._inputs})
        output = self._request.get_output_tensor(0).data
        return np.array(output, np.float32).reshape(len(ids), -1)
