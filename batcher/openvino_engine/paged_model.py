"""PagedModel: a prepared model that hands out its logits, computed as in the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino._offline_transformations import paged_attention_transformation

from batcher.model_source import OPENVINO_MODEL
from batcher.openvino_engine.cache_size import blocks_of
from headrace.core.errors import ModelError

CACHES = ("key_cache", "value_cache")


@dataclass(frozen=True, slots=True)
class Chunk:
    """`ids` of one text that stand behind `past` others.

    `blocks` are those of the cache that hold the keys and values of the text, from its beginning.
    """

    ids: Sequence[int]
    past: int
    blocks: Sequence[int]


class PagedModel:
    """The model with the pipeline's own attention, cache and number formats.

    The pipeline hands out logits of drawn tokens alone, so its model is run here without it.
    """

    def __init__(self, folder: Path, properties: dict[str, Any], blocks: int) -> None:
        """Compiles the model, with a cache of this many blocks.

        Its memory is used as blocks are. Raises `ModelError` for a model that this fails with.
        """
        try:
            model = openvino.Core().read_model(folder / OPENVINO_MODEL)
            paged_attention_transformation(model)
            compiled = openvino.Core().compile_model(model, "CPU", properties)
            self._request = compiled.create_infer_request()
            self._inputs = {port.get_any_name(): port for port in compiled.inputs}
            for name, port in self._inputs.items():
                if name.startswith(CACHES):
                    self._request.set_tensor(port, _cache(port, blocks))
        except RuntimeError as error:
            raise ModelError(f"cannot run the OpenVINO model in {folder}: {error}") from error

    def logits(self, chunks: Sequence[Chunk]) -> NDArray[Any]:
        """[ids of all chunks, vocabulary], to be read before the next call.

        Raises `RuntimeError` where the forward fails.
        """
        values = _inputs_of(chunks)
        self._request.infer({name: values[name] for name in values if name in self._inputs})
        output: NDArray[Any] = self._request.get_output_tensor(0).data
        return output.reshape(sum(len(chunk.ids) for chunk in chunks), -1)


def _cache(port: openvino.ConstOutput, blocks: int) -> openvino.Tensor:
    sizes = [size.get_length() if size.is_static else blocks for size in port.partial_shape]
    return openvino.Tensor(port.get_element_type(), openvino.Shape(sizes))


def _inputs_of(chunks: Sequence[Chunk]) -> dict[str, Any]:
    ends = [chunk.past + len(chunk.ids) for chunk in chunks]
    used = [chunk.blocks[: blocks_of(end)] for chunk, end in zip(chunks, ends, strict=True)]
    places = [np.arange(chunk.past, end) for chunk, end in zip(chunks, ends, strict=True)]
    return {
        "input_ids": _flat(np.int64, [chunk.ids for chunk in chunks]),
        "position_ids": np.concatenate(places).astype(np.int64),
        "past_lens": np.array([chunk.past for chunk in chunks], np.int32),
        "subsequence_begins": _begins([chunk.ids for chunk in chunks]),
        "block_indices": _flat(np.int32, used),
        "block_indices_begins": _begins(used),
        "max_context_len": np.array(max(ends), np.int32),
    }


def _flat(kind: Any, lists: Sequence[Sequence[int]]) -> NDArray[Any]:
    return np.fromiter(chain.from_iterable(lists), kind)


def _begins(lists: Sequence[Sequence[int]]) -> NDArray[np.int32]:
    """Where each list begins in all of them together, and where the last one ends."""
    return np.array([*accumulate(map(len, lists), initial=0)], np.int32)
