from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from batcher.torch_engine.model import load_model
from batcher.torch_engine.packed_linear import PackedLinear, can_pack, pack_linears
from headrace.core.settings import load_settings

pytestmark = pytest.mark.skipif(
    not torch.cpu.get_capabilities().get("avx512_bw"),
    reason="oneDNN has no bf16 kernels for this processor",
)


def test_the_pinned_torch_has_the_operators() -> None:
    assert can_pack()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 5, 64])
@torch.inference_mode()
def test_a_packed_layer_computes_what_the_layer_did(bias: bool, rows: int) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(48, 80, bias=bias, dtype=torch.bfloat16)
    states = torch.randn(1, rows, 48, dtype=torch.bfloat16)
    torch.testing.assert_close(PackedLinear(linear, rows=32)(states), linear(states))


@torch.inference_mode()
def test_every_linear_layer_of_a_model_is_packed(tiny_llama: Path) -> None:
    model = load_model(load_settings(dtype="float32"), tiny_llama).to(torch.bfloat16)
    ids = torch.tensor([[40, 41, 42]])
    expected = model(input_ids=ids).logits
    pack_linears(model, rows=4)
    assert not any(type(module) is nn.Linear for module in model.modules())
    torch.testing.assert_close(model(input_ids=ids).logits, expected, rtol=0.05, atol=0.1)
