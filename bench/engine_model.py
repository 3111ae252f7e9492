"""The model that all contenders run, in the forms that they read."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

from batcher.engine import Engine, load_engine
from batcher.model_parts import Progress
from batcher.model_source import resolve_source
from batcher.model_store import prepare_model
from headrace.core.settings import Settings


@dataclass(frozen=True)
class ModelFiles:
    """`folder` has safetensors; `openvino` is what our engine loads, and `gguf` the file as it was
    published: None where the model has no such thing."""

    name: str
    folder: Path
    openvino: Path | None
    gguf: Path | None
    vocabulary: int

    @property
    def parameters(self) -> int:
        """Numbers in the safetensors files."""
        return sum(
            math.prod(tensor["shape"])
            for file in self.folder.glob("*.safetensors")
            for name, tensor in _header(file).items()
            if name != "__metadata__"
        )


def find_model(settings: Settings, progress: Progress) -> ModelFiles:
    """Prepares it for torch and, where that can read it, for OpenVINO. Raises `ModelError`."""
    model = prepare_model(settings.model_copy(update={"engine": "torch"}), progress)
    openvino = prepare_model(
        settings.model_copy(update={"engine": "auto", "device": "cpu"}), progress
    )
    source = resolve_source(settings.model)
    vocabulary = model.card.tokenizer.get_vocab_size(with_added_tokens=True)
    gguf = source.path if source.kind == "gguf" else None
    folder = openvino.path if openvino.engine == "openvino" else None
    return ModelFiles(model.card.name, model.path, folder, gguf, vocabulary)


def load(settings: Settings, progress: Progress = lambda _text: None) -> Engine:
    """The engine of `settings`, with a card that knows no end of a sequence."""
    model = prepare_model(settings, progress)
    return load_engine(settings, replace(model, card=replace(model.card, eos_token_ids=())))


def _header(file: Path) -> dict[str, dict[str, list[int]]]:
    """What a safetensors file says of its tensors: eight bytes of length, then JSON."""
    with file.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        header: dict[str, dict[str, list[int]]] = json.loads(handle.read(length))
    return header
