"""How blocks of a GGUF file are held for OpenVINO: codes, scales and zero points.

A block of 4 bits is `scale * code + least`: 16 even steps whose zero lies between two of them.
OpenVINO's reader rounds that zero to a whole step, which is a third of a nat a token on SmolLM2.
Two forms keep it:

real_zero   the codes as they are and a zero point of 16 bits: exact, but its products take
            no dynamically quantised activations (VNNI), which costs a quarter of their speed
fine_steps  codes of 8 bits whose step is a whole part of the block's, chosen so that the zero
            falls on one: no zero point, any kind of product, twice the memory
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LEAST_PARTS, MOST_PARTS = 4, 17
"""Parts that a step is cut into: 15 steps of 17 parts fill 8 bits."""

ALIKE = 2e-3
"""Largest distance to a value of the file, as a share of its block's largest."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """`scale * codes + least`; codes [rows, blocks, size], the others [rows, blocks, 1]."""

    codes: Floats
    scale: Floats
    least: Floats


@dataclass(frozen=True, slots=True)
class Held:
    """`scale * (codes - zero)`, shaped as `Blocks`; no zero stands for 0."""

    codes: NDArray[np.uint8] | NDArray[np.int8]
    scale: NDArray[np.float16]
    zero: NDArray[np.float16] | None = None


def fit_blocks(codes: NDArray[np.uint8], values: Floats) -> Blocks | None:
    """Scale and least value of each block, by least squares; None where the values fit no codes.

    `values` has the shape of `codes`.
    """
    largest = np.abs(values).max(-1, keepdims=True)
    is_flat = np.ptp(values, axis=-1, keepdims=True) <= 1e-6 * largest  # whatever its codes are
    q = np.where(is_flat, 0, codes).astype(np.float32)
    mean, middle = q.mean(-1, keepdims=True), values.mean(-1, keepdims=True)
    centred = q - mean
    spread = np.maximum((centred**2).sum(-1, keepdims=True), 1e-9)
    slope = (centred * (values - middle)).sum(-1, keepdims=True) / spread
    scale = np.where(is_flat | (slope == 0), np.where(largest > 0, largest, 1), slope)
    scale = scale.astype(np.float32)
    least = (middle - scale * mean).astype(np.float32)
    off = np.abs(scale * q + least - values)
    return Blocks(q, scale, least) if (off <= ALIKE * largest + 1e-7).all() else None


def real_zero(blocks: Blocks) -> Held:
    zero = (-blocks.least / blocks.scale).astype(np.float16)
    return Held(blocks.codes.astype(np.uint8), blocks.scale.astype(np.float16), zero)


def fine_steps(blocks: Blocks) -> Held:
    """Each block takes the number of parts whose values lie nearest to its own.

    A block whose zero is too far off for any takes even steps around zero instead.
    """
    parts, zero = _best_parts(blocks)
    values = blocks.scale * blocks.codes + blocks.least
    even = np.abs(values).max(-1, keepdims=True) / 127
    scale = np.where(parts > 0, blocks.scale / np.maximum(parts, 1), even).astype(np.float16)
    scale = np.maximum(scale, np.finfo(np.float16).smallest_subnormal)
    codes = np.where(
        parts > 0, blocks.codes * parts - zero, np.round(values / scale.astype(np.float32))
    )
    return Held(np.clip(codes, -128, 127).astype(np.int8), scale)


def _best_parts(blocks: Blocks) -> tuple[Floats, Floats]:
    """Parts and zero of each block, [rows, blocks, 1]; 0 parts where no number of them fits."""
    mean, spread = blocks.codes.mean(-1, keepdims=True), blocks.codes.var(-1, keepdims=True)
    lowest, highest = blocks.codes.min(-1, keepdims=True), blocks.codes.max(-1, keepdims=True)
    least_error = np.full(mean.shape, np.inf, np.float32)
    best_parts, best_zero = np.zeros_like(mean), np.zeros_like(mean)
    for parts in range(LEAST_PARTS, MOST_PARTS + 1):
        scale = (blocks.scale / parts).astype(np.float16).astype(np.float32)
        zero = np.round(-blocks.least / np.maximum(scale, 1e-12))
        slope, offset = blocks.scale - scale * parts, blocks.least + scale * zero
        error = slope**2 * spread + (slope * mean + offset) ** 2
        fits = (lowest * parts - zero >= -128) & (highest * parts - zero <= 127) & (scale > 0)
        better = fits & (error < least_error)
        least_error = np.where(better, error, least_error)
        best_parts = np.where(better, np.float32(parts), best_parts)
        best_zero = np.where(better, zero, best_zero)
    return best_parts, best_zero
