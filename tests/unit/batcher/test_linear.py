from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import silu
from torch.nn.utils import parametrizations
from transformers.pytorch_utils import Conv1D

from batcher.torch_engine.linear import (
    PACKED_ROWS,
    PackedLinear,
    PackedProducts,
    PlainLinear,
    Products,
    can_join,
    can_pack,
    is_plain,
    replace_linears,
    row_multiple,
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
    assert row_multiple(model) == 1
    replace_linears(model, PackedProducts(rows=4))
    assert row_multiple(model) == PACKED_ROWS
    assert [type(layer) for layer in (model[0], model[1][0])] == [PackedLinear] * 2
    torch.testing.assert_close(model(states), expected)


class AdaptedLinear(nn.Linear):
    """What a library makes of a layer: more than a product."""


class QuantisedWeight(nn.Parameter):
    """A weight that is unpacked when it is used."""


def adapted(how: str) -> nn.Module:
    layer: nn.Module = nn.Linear(48, 80)
    if how == "subclass":
        layer = AdaptedLinear(48, 80)
    elif how == "hook":
        layer.register_forward_hook(lambda module, inputs, output: output + 1)
    elif how == "hook before":
        layer.register_forward_pre_hook(lambda module, inputs: inputs)
    elif how == "forward replaced":
        layer.forward = lambda states: states  # type: ignore[method-assign]
    elif how == "computed weight":
        parametrizations.weight_norm(layer)
    elif how == "weight of a class of its own":
        layer.weight = QuantisedWeight(torch.ones(80, 48))
    elif how == "whole numbers":
        layer.weight = nn.Parameter(torch.ones(80, 48, dtype=torch.int8), requires_grad=False)
    elif how == "fp32 in a bf16 model":
        return layer
    return layer.to(torch.bfloat16) if how != "whole numbers" else layer


ADAPTED = [
    "subclass",
    "hook",
    "hook before",
    "forward replaced",
    "computed weight",
    "weight of a class of its own",
    "whole numbers",
]


@pytest.mark.parametrize("how", ADAPTED)
def test_a_layer_that_is_more_than_a_product_is_not_plain(how: str) -> None:
    layer = adapted(how)
    assert is_plain(nn.Linear(48, 80))
    assert not is_plain(layer)
    assert not can_join([nn.Linear(48, 80), layer])


@pytest.mark.parametrize("how", [*ADAPTED, "fp32 in a bf16 model"])
def test_such_a_layer_is_not_packed(how: str) -> None:
    layer = adapted(how)
    model = nn.Sequential(layer)
    replace_linears(model, PackedProducts(rows=4))
    assert model[0] is layer


def test_layers_stay_as_they_are_where_nothing_is_gained() -> None:
    model = nn.Sequential(nn.Linear(48, 80))
    layer = model[0]
    replace_linears(model, Products())
    assert model[0] is layer


def test_layers_are_joined_only_where_all_or_none_have_a_bias() -> None:
    with_bias, without = nn.Linear(48, 80), nn.Linear(48, 80, bias=False)
    assert can_join([with_bias, with_bias])
    assert can_join([without, without])
    assert not can_join([with_bias, without])
    assert not can_join([with_bias, nn.Linear(48, 80).bfloat16()])
