"""Weights in the block formats of GGUF files, at random."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind
from numpy.typing import NDArray

K_BLOCK = 256
"""Weights in a block of the K kinds."""


def file_type(kind: Kind) -> gguf.LlamaFileType:
    """What a file says of itself whose matrices are of this kind; readers go by it."""
    mixtures = {Kind.Q4_K: "Q4_K_M", Kind.Q5_K: "Q5_K_M"}
    return gguf.LlamaFileType[f"MOSTLY_{mixtures.get(kind, kind.name)}"]


def random_blocks(shape: tuple[int, int], kind: Kind, numbers: np.random.Generator) -> Any:
    """[rows, bytes] as a file holds them, or values of 16 bits; about 0.05 wide."""
    if kind == Kind.F16:
        return (numbers.standard_normal(shape) * 0.05).astype(np.float16)
    if kind in K_FIELDS:
        return _k_blocks(shape, kind, numbers)
    values = (numbers.standard_normal(shape) * 0.05).astype(np.float32)
    return gguf.quantize(values, kind)


K_FIELDS: dict[Kind, tuple[tuple[str, int], ...]] = {
    Kind.Q4_K: (("scale", 2), ("least", 2), ("bytes", 12 + 128)),
    Kind.Q5_K: (("scale", 2), ("least", 2), ("bytes", 12 + 32 + 128)),
    Kind.Q6_K: (("bytes", 128 + 64), ("signed", 16), ("wide scale", 2)),
}
"""What a block is made of, in order, with the bytes of each part."""


def _k_blocks(
    shape: tuple[int, int], kind: Kind, numbers: np.random.Generator
) -> NDArray[np.uint8]:
    blocks = shape[0] * shape[1] // K_BLOCK
    parts = [_part(name, (blocks, size), numbers) for name, size in K_FIELDS[kind]]
    return np.concatenate(parts, axis=1).reshape(shape[0], -1)


def _part(name: str, shape: tuple[int, int], numbers: np.random.Generator) -> NDArray[np.uint8]:
    widths = {"scale": 3e-4, "least": 2e-3, "wide scale": 2e-5}
    if name in widths:
        values = numbers.uniform(0.5, 1.5, (shape[0], 1)) * widths[name]
        return values.astype(np.float16).view(np.uint8)
    if name == "signed":
        return numbers.integers(-100, 100, shape).astype(np.int8).view(np.uint8)
    return numbers.integers(0, 256, shape).astype(np.uint8)
