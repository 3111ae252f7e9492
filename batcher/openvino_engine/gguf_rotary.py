"""Rotary frequencies of a GGUF file, which OpenVINO's reader rounds or knows no factors of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as operations

from batcher.gguf_reading import read_gguf
from batcher.gguf_rope import rope_changes
from headrace.core.errors import ModelError

DEFAULT_BASE = 10_000.0

FARTHEST = 6
"""Nodes between a sine and the frequencies that its angles are made of."""


def restore_frequencies(model: openvino.Model, file: Path) -> int:
    """Puts the file's frequencies into the model. Returns how many constants were replaced.

    Raises `ModelError` for frequencies that depend on the length of a sequence.
    """
    changes = rope_changes(file)
    replaced = 0
    for constant in list(_frequencies(model)):
        given = np.asarray(constant.data, np.float32)
        wanted = _wanted(file, changes, given.size).reshape(given.shape)
        if not np.array_equal(given, wanted):
            exact = operations.constant(wanted)
            if constant.get_element_type() != openvino.Type.f32:
                exact = operations.convert(exact, constant.get_element_type())
            constant.output(0).replace(exact.output(0))
            replaced += 1
    return replaced


def _wanted(file: Path, changes: dict[str, Any], count: int) -> NDArray[np.float32]:
    fields = read_gguf(file).fields
    base = next((field.contents() for name, field in fields.items() if "rope.freq_base" in name), 0)
    steps = np.arange(count, dtype=np.float64) / count
    frequencies = float(base or DEFAULT_BASE) ** -steps
    kind = changes.get("rope_type", "default")
    if kind == "linear":
        frequencies /= changes["factor"]
    elif kind == "longrope" and changes["long_factor"] == changes["short_factor"]:
        frequencies /= np.array(changes["long_factor"], np.float64)
    elif kind != "default":
        raise ModelError(f"OpenVINO knows no rotary positions of the kind {kind}")
    return frequencies.astype(np.float32)


def _frequencies(model: openvino.Model) -> Iterator[Any]:
    """The constants that the angles of sine and cosine are products of."""
    seen: set[str] = set()
    for node in model.get_ordered_ops():
        if node.get_type_name() in ("Sin", "Cos"):
            for constant in _constants(node, FARTHEST):
                if constant.get_friendly_name() not in seen:
                    seen.add(constant.get_friendly_name())
                    yield constant


def _constants(node: Any, depth: int) -> Iterator[Any]:
    """Those of real numbers, more than one, from which `node` is computed."""
    for value in node.input_values() if depth else ():
        source = value.get_node()
        if source.get_type_name() != "Constant":
            yield from _constants(source, depth - 1)
        elif source.get_element_type().is_real() and np.prod(list(source.shape)) > 1:
            yield source
