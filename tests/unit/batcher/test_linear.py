from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import silu
from transformers.pytorch_utils import Conv1D

from batcher.torch_engine.linear import (
    PackedLinear,
    PlainLinear,
    can_pack,
    is_packed,
    pack_linears,
)

needs_bfloat16 = pytest.mark.skipif(
    not torch.cpu.get_capabilities().get("avx512_bw"),
    reason="oneDNN has no bf16 kernels for this processor",
)
KINDS = [
    pytest.param(PlainLinear, torch.float32, id="plain"),
    pytest.param(lambda layers: PackedLinear(layers, 8), torch.bfloat16, marks=needs_bfloat16),
]
Make = Callable[[list[nn.Module]], PlainLinear]


def layers_of(dtype: torch.dtype, bias: bool = True) -> list[nn.Module]:
    torch.manual_seed(0)
    return [nn.Linear(48, out, bias=bias, dtype=dtype) for out in (80, 16)]


def states_of(rows: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(rows, 48, generator=torch.Generator().manual_seed(1)).to(dtype)


def test_the_pinned_torch_has_the_operators() -> None:
    assert can_pack()


@pytest.mark.parametrize(("make", "dtype"), KINDS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 5, 64])
@torch.inference_mode()
def test_joined_layers_compute_what_each_did(
    make: Make, dtype: torch.dtype, bias: bool, rows: int
) -> None:
    layers, states = layers_of(dtype, bias), states_of(rows, dtype)
    expected = torch.cat([layer(states) for layer in layers], dim=-1)
    torch.testing.assert_close(make(layers)(states), expected)


@pytest.mark.parametrize(("make", "dtype"), KINDS)
@torch.inference_mode()
def test_what_follows_a_layer_can_be_part_of_it(make: Make, dtype: torch.dtype) -> None:
    layer, states = layers_of(dtype)[0], states_of(5, dtype)
    other = torch.randn(5, 80, generator=torch.Generator().manual_seed(2)).to(dtype)
    linear, plain = make([layer]), layer(states).float()
    close = {"rtol": 0.02, "atol": 0.02}
    torch.testing.assert_close(linear.silu(states).float(), silu(plain), **close)
    torch.testing.assert_close(linear.times(states, other).float(), plain * other.float(), **close)
    torch.testing.assert_close(linear.plus(states, other).float(), plain + other.float(), **close)


@torch.inference_mode()
def test_a_layer_of_gpt2_keeps_its_weight_the_other_way_round() -> None:
    torch.manual_seed(0)
    layer, states = Conv1D(80, 48), states_of(5, torch.float32)
    torch.testing.assert_close(PlainLinear([layer])(states), layer(states))


@needs_bfloat16
@torch.inference_mode()
def test_every_linear_layer_of_a_model_is_packed() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(48, 80), nn.Sequential(Conv1D(16, 80), nn.ReLU())).bfloat16()
    states = states_of(5, torch.bfloat16)
    expected = model(states)
    assert not is_packed(model)
    pack_linears(model, rows=4)
    assert is_packed(model)
    assert [type(layer) for layer in (model[0], model[1][0])] == [PackedLinear] * 2
    torch.testing.assert_close(model(states), expected)
