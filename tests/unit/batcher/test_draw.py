from __future__ import annotations

import torch

from batcher.torch_engine.draw import uniform


def test_uniform_numbers_are_spread_evenly_over_places_and_seeds() -> None:
    for numbers in ([uniform(1, n) for n in range(10_000)], [uniform(n, 0) for n in range(10_000)]):
        counts = torch.histc(torch.tensor(numbers), bins=10, min=0, max=1)
        assert ((counts - 1000).abs() < 150).all()
        assert min(numbers) >= 0 and max(numbers) < 1


def test_a_uniform_number_is_the_same_in_every_process() -> None:
    assert uniform(42, 7) == uniform(42, 7)
    assert uniform(42, 7) != uniform(42, 8)
    assert uniform(42, 7) != uniform(43, 7)
    assert uniform(-1, 0) == uniform(2**64 - 1, 0)
