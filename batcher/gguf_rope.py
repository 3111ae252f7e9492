"""The rotary frequencies of a GGUF file, which transformers does not read.

A file may divide them by factors, kept as tensors (`rope_freqs` of Llama 3.1 and later,
`rope_factors_long` and `rope_factors_short` of Phi-3), or scale them by keys (`rope.scaling.*`:
linear, yarn). A model without them answers worse the longer its prompt is, and nothing says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gguf import GGUFReader

from batcher.gguf_reading import read_gguf

_FREQUENCIES, _LONG, _SHORT = (
    f"{name}.weight" for name in ("rope_freqs", "rope_factors_long", "rope_factors_short")
)


def keep_rope(file: Path, config: Any) -> None:
    """Writes what `file` says of its rotary frequencies into the model's `config`."""
    reader = read_gguf(file)
    scaling, rope = _scaling(reader), rope_changes(file)
    if not rope:
        return
    window = int(scaling.get("original_context_length", config.max_position_embeddings))
    if hasattr(config, "original_max_position_embeddings"):  # Phi-3's, which goes before the other
        config.original_max_position_embeddings = window
    config.rope_parameters = {
        **config.rope_parameters,
        "original_max_position_embeddings": window,
        **rope,
    }


def rope_changes(file: Path) -> dict[str, Any]:
    """Changes of plain rotary frequencies in `file`, as transformers' `rope_parameters`."""
    reader = read_gguf(file)
    return _changes(_factors(reader), _scaling(reader))


def _changes(factors: dict[str, list[float]], scaling: dict[str, Any]) -> dict[str, Any]:
    """Factors for every length are written as longrope whose two sets are alike."""
    if _FREQUENCIES in factors:
        factors = dict.fromkeys((_LONG, _SHORT), factors[_FREQUENCIES])
    if _LONG in factors and _SHORT in factors:
        return {
            "rope_type": "longrope",
            "long_factor": factors[_LONG],
            "short_factor": factors[_SHORT],
            "attention_factor": float(scaling.get("attn_factor", 1.0)),
        }
    if scaling.get("type") in ("linear", "yarn") and "factor" in scaling:
        return {"rope_type": scaling["type"], "factor": float(scaling["factor"])}
    return {}


def _factors(reader: GGUFReader) -> dict[str, list[float]]:
    return {
        tensor.name: [float(factor) for factor in tensor.data]
        for tensor in reader.tensors
        if tensor.name in (_FREQUENCIES, _LONG, _SHORT)
    }


def _scaling(reader: GGUFReader) -> dict[str, Any]:
    """The values of the keys `<architecture>.rope.scaling.<name>`."""
    mark = ".rope.scaling."
    keys = {name: field for name, field in reader.fields.items() if mark in name}
    return {name.split(mark)[1]: field.contents() for name, field in keys.items()}
