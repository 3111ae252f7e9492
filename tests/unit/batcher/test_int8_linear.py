"""Products of 8-bit weights: as true as the weights are, and row by row."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu
from transformers.pytorch_utils import Conv1D

from batcher.torch_engine.int8_linear import Int8Gate, Int8Linear, Int8Products, has_int8
from batcher.torch_engine.linear import replace_linears, row_multiple

CLOSE = {"rtol": 1e-3, "atol": 1e-3}


def layer_of(out: int = 80, bias: bool = True) -> nn.Linear:
    torch.manual_seed(out)
    return nn.Linear(48, out, bias=bias)


def states_of(rows: int) -> Tensor:
    return torch.randn(rows, 48, generator=torch.Generator().manual_seed(1))


def rounded(weight: Tensor) -> Tensor:
    """To 127 steps of each output's own size."""
    steps = weight.abs().amax(dim=1, keepdim=True) / 127
    return (weight / steps).round() * steps


def test_the_pinned_torch_has_the_operators() -> None:
    assert has_int8()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 5, 64])
@torch.inference_mode()
def test_only_the_weights_are_rounded(bias: bool, rows: int) -> None:
    layers, states = [layer_of(80, bias), layer_of(16, bias)], states_of(rows)
    expected = [linear(states, rounded(layer.weight), layer.bias) for layer in layers]
    torch.testing.assert_close(Int8Linear(layers, 8)(states), torch.cat(expected, dim=-1), **CLOSE)


@torch.inference_mode()
def test_states_may_have_any_shape() -> None:
    made, states = Int8Linear([layer_of()], 8), states_of(6)
    assert torch.equal(made(states.view(2, 3, 48)), made(states).view(2, 3, 80))


@torch.inference_mode()
def test_no_row_depends_on_those_beside_it() -> None:
    made, states = Int8Linear([layer_of()], 8), states_of(40)
    alone = torch.cat([made(row[None]) for row in states])
    states_with_a_giant = torch.cat((states, 1e6 * states[:1]))
    assert torch.equal(made(states), alone)
    assert torch.equal(made(states_with_a_giant)[:40], alone)


@torch.inference_mode()
def test_a_row_of_zeros_gives_the_bias() -> None:
    layer, states = layer_of(), states_of(3)
    states[1] = 0
    assert torch.equal(Int8Linear([layer], 8)(states)[1], layer.bias)


@torch.inference_mode()
def test_an_output_without_weights_gives_the_bias() -> None:
    layer = layer_of()
    layer.weight[7] = 0
    made = Int8Linear([layer], 8)(states_of(3))
    assert torch.equal(made[:, 7], layer.bias[7].expand(3))


@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
@torch.inference_mode()
def test_a_row_that_is_not_a_number_stays_so_and_spoils_no_other(number: float) -> None:
    made, states = Int8Linear([layer_of()], 8), states_of(3)
    states[1, 5] = number
    finite = made(states).isfinite()
    assert finite[[0, 2]].all()
    assert not finite[1].any()


@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_what_follows_a_layer_is_the_same(bias: bool) -> None:
    layer, states = layer_of(bias=bias), states_of(5)
    made, other = Int8Linear([layer], 8), torch.ones(5, 80)
    plain = made(states)
    torch.testing.assert_close(made.plus(states, other), plain + other)
    torch.testing.assert_close(made.times(states, 2 * other), 2 * plain)
    torch.testing.assert_close(made.silu(states), silu(plain))


@torch.inference_mode()
def test_a_gate_is_one_product() -> None:
    gate, up, states = layer_of(), nn.Linear(48, 80), states_of(5)
    expected = silu(Int8Linear([gate], 8)(states)) * Int8Linear([up], 8)(states)
    torch.testing.assert_close(Int8Gate(gate, up, 8)(states), expected)


@torch.inference_mode()
def test_every_linear_layer_of_a_model_is_quantised() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(48, 80), nn.Sequential(Conv1D(16, 80), nn.ReLU()))
    states = states_of(5)
    expected = model(states)
    replace_linears(model, Int8Products(rows=4))
    assert row_multiple(model) == Int8Linear.multiple
    assert [type(layer) for layer in (model[0], model[1][0])] == [Int8Linear] * 2
    torch.testing.assert_close(model(states), expected, rtol=0.02, atol=0.02)
