"""The model's own answer to the text: every place's logprobs, computed in float32 by torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, GgufConfig

from batcher.fidelity.comparison import log_softmax
from batcher.gguf_reading import one_reading
from batcher.gguf_rope import rope_changes
from batcher.torch_engine.model_errors import model_errors
from batcher.torch_engine.quiet import quiet_transformers
from batcher.torch_engine.rope import freeze_rope
from headrace.core.errors import ModelError
from headrace.core.memory import machine_memory

Logprobs = NDArray[np.float32]

MEMORY_SHARE = 0.5
"""Of the machine's memory, for a model in float32; a larger one is read layer by layer."""

FLOAT32_PER_BYTE = {"gguf": 7.5, "safetensors": 2.0}
"""Bytes in float32 for each byte of a file, at most: 4 bits and a scale, or 16 bits."""


def reference_logprobs(
    source: Path, ids: Sequence[int], context_tokens: int, scratch: Path | None = None
) -> Logprobs:
    """[ids, vocabulary], of a GGUF file or of a folder of safetensors.

    A folder that does not fit into memory is read layer by layer, from a copy in float32 that lies
    in `scratch` meanwhile. Raises `ModelError` for a model that cannot be run.
    """
    with model_errors("the model does not run in transformers"), _quietly(scratch) as offload:
        model = _load_gguf(source) if source.is_file() else _load_folder(source, offload)
        freeze_rope(model, context_tokens)
        with torch.inference_mode():
            logits = model.eval()(torch.tensor([list(ids)])).logits[0]
        return log_softmax(logits.float().numpy())


def can_be_read(gguf_file: Path) -> bool:
    """Whether transformers reads the file as it is meant, and memory holds it in float32.

    Else its reference is that of the folder which it was converted to.
    """
    with one_reading():
        return fits(gguf_file) and not rope_changes(gguf_file)


@contextmanager
def _quietly(scratch: Path | None) -> Iterator[str]:
    """A folder for layers, and none of the bars that transformers draws over ours."""
    with (
        TemporaryDirectory(prefix=".headrace-", dir=scratch) as folder,
        redirect_stderr(StringIO()),
        quiet_transformers(),
        one_reading(),
    ):
        yield folder


def fits(model: Path) -> bool:
    """Whether a GGUF file, or the safetensors of a folder, fit into memory in float32."""
    files = [model] if model.is_file() else list(model.glob("*.safetensors"))
    kind = "gguf" if model.is_file() else "safetensors"
    needed = sum(file.stat().st_size for file in files) * FLOAT32_PER_BYTE[kind]
    return needed <= machine_memory() * MEMORY_SHARE


def _load_gguf(file: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(
        file.parent,
        gguf_file=file.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
        local_files_only=True,
    )


def _load_folder(folder: Path, offload: str) -> Any:
    names: dict[str, Any] = {}
    if not fits(folder):
        _require_space(folder, offload)
        budget = int(machine_memory() * MEMORY_SHARE / 2)
        names = {"device_map": "auto", "max_memory": {"cpu": budget}, "offload_folder": offload}
    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.float32,
        attn_implementation="sdpa",
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        **names,
    )


def _require_space(folder: Path, scratch: str) -> None:
    """Raises `ModelError` where the disk has no room for the model in float32."""
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    needed = int(size * FLOAT32_PER_BYTE["safetensors"])
    if needed > shutil.disk_usage(scratch).free:
        raise ModelError(f"{needed / 1e9:.0f} GB of free disk are needed to compare it")
