"""Blocks of a GGUF file in the two forms that OpenVINO computes with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.openvino_engine.block_codes import (
    Held,
    fine_steps,
    fit_blocks,
    real_zero,
)

SIZE = 32


def blocks_of(scale: float, least: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Codes [1, 1, size] that use all 16 steps, and the values that they stand for."""
    codes = np.random.default_rng(seed).integers(0, 16, (1, 1, SIZE)).astype(np.uint8)
    codes[..., :2] = (0, 15)
    return codes, (scale * codes + least).astype(np.float32)


def values_of(held: Held) -> np.ndarray:
    zero = 0.0 if held.zero is None else held.zero.astype(np.float32)
    return (held.codes.astype(np.float32) - zero) * held.scale.astype(np.float32)


@given(scale=st.floats(1e-3, 1.0), steps=st.floats(-15.0, 0.0), seed=st.integers(0, 99))
def test_a_real_zero_keeps_every_value(scale: float, steps: float, seed: int) -> None:
    codes, values = blocks_of(scale, scale * steps, seed)
    blocks = fit_blocks(codes, values)
    assert blocks is not None
    assert np.abs(values_of(real_zero(blocks)) - values).max() < 0.01 * scale


@given(scale=st.floats(1e-3, 1.0), steps=st.floats(-15.0, 0.0), seed=st.integers(0, 99))
def test_fine_steps_are_off_by_a_fraction_of_a_step(scale: float, steps: float, seed: int) -> None:
    codes, values = blocks_of(scale, scale * steps, seed)
    blocks = fit_blocks(codes, values)
    assert blocks is not None
    held = fine_steps(blocks)
    assert held.zero is None
    assert np.abs(values_of(held) - values).max() < 0.13 * scale  # half of the coarsest part


def test_fine_steps_take_the_parts_that_the_zero_falls_on() -> None:
    codes, values = blocks_of(0.5, -0.5 * 7.3)  # at 7.3 steps: ten parts hold it exactly
    blocks = fit_blocks(codes, values)
    assert blocks is not None
    assert np.abs(values_of(fine_steps(blocks)) - values).max() < 1e-3


@pytest.mark.parametrize("least", [40.0, -60.0])
def test_a_zero_that_is_far_off_is_held_in_even_steps(least: float) -> None:
    codes, values = blocks_of(0.1, least)
    blocks = fit_blocks(codes, values)
    assert blocks is not None
    off = np.abs(values_of(fine_steps(blocks)) - values).max()
    assert off <= 0.51 * np.abs(values).max() / 127


@pytest.mark.parametrize("value", [0.0, 0.25, -3.0])
def test_a_block_of_one_value_keeps_it_whatever_its_codes_are(value: float) -> None:
    codes = np.arange(SIZE, dtype=np.uint8).reshape(1, 1, SIZE) % 16
    blocks = fit_blocks(codes, np.full(codes.shape, value, np.float32))
    assert blocks is not None
    for form in (real_zero, fine_steps):
        assert values_of(form(blocks)) == pytest.approx(np.full(codes.shape, value), abs=0.01)


def test_values_of_other_codes_are_told_apart() -> None:
    codes, values = blocks_of(0.1, -0.7)
    assert fit_blocks(np.flip(codes, -1), values) is None
