"""The files of a model folder, looked at before torch reads gigabytes of them."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from headrace.core.errors import ModelError

INDEX = "model.safetensors.index.json"

_LFS = b"version https://git-lfs"


def require_weights(folder: Path, name: str) -> None:
    """Raises `ModelError` where the folder lacks safetensors, or one of them is not whole."""
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelError(f"the model folder {folder} has no *.safetensors: torch cannot read it")
    lacking = [shard for shard in _shards(folder) if not (folder / shard).is_file()]
    if lacking:
        raise ModelError(f"model {name} is incomplete: {folder} lacks {lacking[0]}")
    for file in weights:
        _require_whole(file, name)


def _shards(folder: Path) -> list[str]:
    """The files that an index names."""
    index = folder / INDEX
    if not index.is_file():
        return []
    try:
        return sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{index} is no index of weights: {error!r}") from error


def _require_whole(file: Path, name: str) -> None:
    """The head of a file says how long it is."""
    try:
        with file.open("rb") as beginning:
            is_pointer = beginning.read(len(_LFS)) == _LFS
        if is_pointer:
            raise ModelError(f"model {name}: {file} is a pointer of Git LFS: run `git lfs pull`")
        with safe_open(file, framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"model {name}: {file} is damaged or incomplete ({error}): fetch it again"
        ) from error
