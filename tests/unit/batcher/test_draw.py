from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from batcher.torch_engine.draw import keys_of, uniforms

WORD = 1 << 64


def mixed(number: int) -> int:
    """splitmix64 as it is published, on a number of any size."""
    number = (number + 0x9E3779B97F4A7C15) % WORD
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % WORD
    number = (number ^ number >> 27) * 0x94D049BB133111EB % WORD
    return number ^ number >> 31


def numbers_of(seeds: Sequence[int], places: Sequence[int]) -> list[float]:
    return [float(number) for number in uniforms(keys_of(seeds), np.array(places))]


def test_uniform_numbers_are_spread_evenly_over_places_and_seeds() -> None:
    some, same = range(10_000), [1] * 10_000
    for numbers in (numbers_of(same, some), numbers_of(some, [0] * 10_000)):
        counts = torch.histc(torch.tensor(numbers), bins=10, min=0, max=1)
        assert ((counts - 1000).abs() < 150).all()
        assert min(numbers) >= 0 and max(numbers) < 1


def test_a_uniform_number_depends_on_its_seed_and_place() -> None:
    here, again, later, other = numbers_of([42, 42, 42, 43], [7, 7, 8, 7])
    assert here == again
    assert here not in (later, other)
    (negative,), (wrapped,) = numbers_of([-1], [0]), numbers_of([2**64 - 1], [0])
    assert negative == wrapped


@given(seed=st.integers(-(2**70), 2**70), place=st.integers(0, 2**40))
def test_a_uniform_number_is_the_same_in_every_process(seed: int, place: int) -> None:
    assert numbers_of([seed], [place]) == [(mixed(mixed(seed % WORD) ^ place) >> 12) / 2**52]
