"""The logits of a prepared model for every token of a text, computed as the pipeline does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batcher.openvino_engine.cache_size import blocks_of
from batcher.openvino_engine.paged_model import Chunk, PagedModel
from headrace.core.errors import ModelError

CHUNK_TOKENS = 64
"""Read at once, so that most of a text is attended to in the cache, at the cache's precision."""


def paged_logits(
    folder: Path, properties: dict[str, Any], ids: Sequence[int]
) -> NDArray[np.float32]:
    """[ids, vocabulary]. Raises `ModelError` for a model that this cannot be done with."""
    blocks = range(blocks_of(len(ids)))
    model = PagedModel(folder, properties, len(blocks))
    starts = range(0, len(ids), CHUNK_TOKENS)
    chunks = [Chunk(ids[start : start + CHUNK_TOKENS], start, blocks) for start in starts]
    try:
        parts = [np.array(model.logits([chunk]), np.float32) for chunk in chunks]
    except RuntimeError as error:
        raise ModelError(f"cannot run the OpenVINO model in {folder}: {error}") from error
    return np.concatenate(parts)
