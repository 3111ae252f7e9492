"""What is done once for a folder of safetensors: it becomes a folder that OpenVINO reads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import openvino
from openvino_tokenizers import convert_tokenizer
from transformers import AutoTokenizer
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from batcher.exported import Exported
from batcher.model_files import require_weights
from batcher.model_parts import Progress
from batcher.model_source import OPENVINO_MODEL
from batcher.openvino_engine.export.states import keep_states
from batcher.openvino_engine.export.tracing import trace
from batcher.openvino_engine.export.weights import put_weights
from batcher.torch_engine.model import read_model
from batcher.torch_engine.model_errors import model_errors, one_line
from batcher.torch_engine.rope import is_frozen
from headrace.core.errors import ModelError
from headrace.core.memory import machine_memory
from headrace.core.settings import Settings, variable

TOKENIZER, DETOKENIZER = "openvino_tokenizer.xml", "openvino_detokenizer.xml"

MEMORY_PER_BYTE, MEMORY_SHARE = 2.0, 0.8
"""Of the files: 16 bits of each weight as read, and at most as many as exported."""

_KNOWN_LAYERS = (DynamicLayer, DynamicSlidingWindowLayer)
_CONFIGS = ("config.json", "generation_config.json")


def export_folder(
    settings: Settings, name: str, source: Path, folder: Path, form: str, progress: Progress
) -> None:
    """Makes `folder` with the model of `source`, its weights in `form`, and its tokenizer.

    Errors call the model `name`. The memory holds the weights in 16 bits, and in `form`. Raises
    `ModelError` for a model that cannot be exported.
    """
    require_weights(source, name)
    _require_memory(source)
    progress("reading the weights for OpenVINO")
    on_cpu = settings.model_copy(update={"dtype": "bfloat16", "device": "cpu"})
    model = read_model(on_cpu, source, name)
    context_tokens = settings.max_context_tokens if _heeds_context(model, settings) else None
    folder.mkdir()
    with model_errors(f"model {name} cannot be exported for OpenVINO"):
        progress("exporting the model for OpenVINO")
        graph = trace(model)
        progress(f"exporting its weights as {form}")
        put_weights(graph, form)
        keep_states(graph)
        openvino.save_model(graph.model, folder / OPENVINO_MODEL, compress_to_fp16=False)
    for file in _CONFIGS:
        if (source / file).is_file():
            shutil.copyfile(source / file, folder / file)
    _export_tokenizer(source, folder, progress)
    Exported(form, context_tokens).write(folder)


def _require_memory(source: Path) -> None:
    """Raises `ModelError` where the weights, read and exported, would fill the memory."""
    size = sum(file.stat().st_size for file in source.glob("*.safetensors"))
    needed, memory = size * MEMORY_PER_BYTE, machine_memory()
    if needed > memory * MEMORY_SHARE:
        raise ModelError(
            f"exporting it for OpenVINO takes {needed / 1e9:.0f} GB of memory, at most"
            f" {MEMORY_SHARE:.0%} of the {memory / 1e9:.0f} GB of this machine"
        )


def _heeds_context(model: Any, settings: Settings) -> bool:
    """Whether another context would need another export.

    Raises `ModelError` for layers that a paged attention would compute as full attention.
    """
    layers = DynamicCache(config=model.config).layers
    windows = [layer for layer in layers if type(layer) is DynamicSlidingWindowLayer]
    others = [layer for layer in layers if type(layer) not in _KNOWN_LAYERS]
    is_cut = any(layer.sliding_window < settings.max_context_tokens for layer in windows)
    if others or is_cut:
        raise ModelError(
            "OpenVINO models are exported with full attention alone: this one has other layers, or"
            f" windows smaller than {variable('max_context_tokens')}={settings.max_context_tokens}"
        )
    return bool(windows) or is_frozen(model)


def _export_tokenizer(source: Path, folder: Path, progress: Progress) -> None:
    """Writes what grammars need; without it requests for a JSON schema are refused."""
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(source, local_files_only=True)
        encoder, decoder = convert_tokenizer(tokenizer, with_detokenizer=True)
        openvino.save_model(encoder, folder / TOKENIZER)
        openvino.save_model(decoder, folder / DETOKENIZER)
    except Exception as error:  # its converter raises whatever it trips over
        progress(f"no JSON schemas: OpenVINO has no such tokenizer ({one_line(error)})")
        for file in (TOKENIZER, DETOKENIZER):
            (folder / file).unlink(missing_ok=True)
