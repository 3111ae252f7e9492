from __future__ import annotations

import pytest
import torch
from torch import Tensor

from batcher.torch_engine.difference import Difference


def logits(**changes: float) -> Tensor:
    """A thousand of deviation 1, of which the last is the best; `changes` are made to the rest."""
    numbers = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    numbers[-1] = numbers.max() + 0.5
    return numbers * (1 + changes.get("scale", 0)) + changes.get("shift", 0)


def with_noise(deviation: float) -> Tensor:
    noise = torch.randn(1000, generator=torch.Generator().manual_seed(1))
    return logits() + deviation * noise


def is_small(ours: Tensor, is_fine: bool) -> bool:
    return Difference.between(ours, logits(), is_fine).is_small


@pytest.mark.parametrize("is_fine", [True, False])
def test_equal_logits_do_not_differ(is_fine: bool) -> None:
    assert is_small(logits(), is_fine)


def test_in_fp32_a_thousandth_of_the_spread_is_the_most() -> None:
    assert is_small(logits(scale=1e-4), is_fine=True)
    assert not is_small(logits(scale=0.01), is_fine=True)


def test_coarser_numbers_may_differ_by_their_noise() -> None:
    assert is_small(with_noise(0.05), is_fine=False)
    assert not is_small(with_noise(0.05), is_fine=True)
    assert not is_small(with_noise(0.5), is_fine=False)


def test_one_logit_that_is_wrong_shows_where_it_makes_another_token_the_best() -> None:
    ours = logits()
    ours[3] = ours.max() + 0.1
    assert not is_small(ours, is_fine=False)


def test_two_that_are_as_good_as_equal_may_change_places() -> None:
    expected = logits()
    expected[3] = expected[-1] - 0.01
    ours = expected.clone()
    ours[3] += 0.02
    assert Difference.between(ours, expected, is_fine=False).is_small


@pytest.mark.parametrize("is_fine", [True, False])
def test_what_is_not_a_number_is_never_small(is_fine: bool) -> None:
    ours = logits()
    ours[5] = torch.nan
    assert not is_small(ours, is_fine)


def test_ids_that_a_model_rules_out_do_not_count() -> None:
    expected = logits()
    expected[:9] = -torch.inf
    assert Difference.between(expected.clone(), expected, is_fine=True).is_small


def test_a_model_that_finds_all_tokens_equal_may_go_on_doing_so() -> None:
    equal = torch.ones(9)
    assert Difference.between(equal, equal, is_fine=True).is_small
    assert not Difference.between(equal.index_fill(0, torch.tensor([2]), 2), equal, True).is_small
