"""Sampling defaults that a model brings: `generation_config.json`, or keys of its GGUF file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gguf import Keys
from pydantic import ValidationError

from batcher.gguf_header import read_numbers
from batcher.model_parts import Progress
from headrace.core.sampling_defaults import SamplingDefaults

GENERATION_CONFIG = "generation_config.json"

_GGUF_KEYS = {
    "temperature": Keys.General.SAMPLING_TEMP,
    "top_p": Keys.General.SAMPLING_TOP_P,
    "top_k": Keys.General.SAMPLING_TOP_K,
    "min_p": Keys.General.SAMPLING_MIN_P,
    "repetition_penalty": Keys.General.SAMPLING_PENALTY_REPEAT,
}

_FLOAT32_DIGITS = 6
"""A GGUF file says 0.6 as 0.60000002."""


def read_sampling_defaults(path: Path, progress: Progress) -> SamplingDefaults:
    """Defaults of the model in a folder or GGUF file; values that cannot be used are reported.

    As in vLLM, `do_sample` is not heeded: most files leave it out, and then it means nothing.
    Raises `ValueError` for a file that cannot be read.
    """
    stated = _of_gguf(path) if path.is_file() else _of_folder(path)
    usable = {}
    for name in SamplingDefaults.model_fields:
        value = stated.get(name)
        if value is None:
            continue
        if _is_usable(name, value):
            usable[name] = value
        else:
            progress(f"ignoring the model's own {name}: {json.dumps(value)} is not supported")
    return SamplingDefaults(**usable)


def _of_folder(folder: Path) -> Mapping[str, Any]:
    file = folder / GENERATION_CONFIG
    if not file.is_file():
        return {}
    stated = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(stated, dict):
        raise ValueError(f"{file} is not a JSON object")
    return stated


def _of_gguf(file: Path) -> Mapping[str, Any]:
    stated = read_numbers(file, "general.sampling.")
    found = {name: stated.get(key) for name, key in _GGUF_KEYS.items()}
    return {name: _shortest(value) for name, value in found.items()}


def _shortest(value: Any) -> Any:
    return round(value, _FLOAT32_DIGITS) if isinstance(value, float) else value


def _is_usable(name: str, value: Any) -> bool:
    try:
        SamplingDefaults(**{name: value})
    except ValidationError:
        return False
    return True
