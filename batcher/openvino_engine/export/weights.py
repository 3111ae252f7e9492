"""Weights as constants of a graph, in one of the forms of `batcher.exported.FORMS`.

int8         8 bits and a scale for each row of a matrix
int8_blocks  8 bits and a scale for every 32 numbers of a row
bfloat16     16 bits, as the weights were read
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino
import torch
from openvino import opset13 as operations
from torch import Tensor

from batcher.openvino_engine.export.tracing import Graph

BLOCK = 32
MOST_CODE = 127

ROWS_AT_ONCE = 4096
"""Of a matrix in float32: bounds the memory."""


def put_weights(graph: Graph, form: str) -> None:
    """Replaces the graph's inputs for weights; each value is freed once it is in the graph."""
    values = graph.values
    for place, parameter in enumerate(graph.weights):
        value, values[place] = values[place], torch.empty(0)
        held = _FORMS[form](value) if value.dim() > 1 else _constant(value.float())
        parameter.output(0).replace(held.output(0))
        graph.model.remove_parameter(parameter)


def _int8(value: Tensor) -> Any:
    codes, scales = _quantised(value, torch.float32)
    return operations.multiply(operations.convert(_constant(codes), "f32"), _constant(scales))


def _int8_blocks(value: Tensor) -> Any:
    """Rows that are no whole number of blocks have one scale."""
    if value.shape[-1] % BLOCK:
        return _int8(value)
    codes, scales = _quantised(value.reshape(*value.shape[:-1], -1, BLOCK), torch.float16)
    blocks = operations.multiply(operations.convert(_constant(codes), "f16"), _constant(scales))
    shape = operations.constant(np.array(value.shape, np.int64))
    return operations.convert(operations.reshape(blocks, shape, False), "f32")


def _bfloat16(value: Tensor) -> Any:
    bits = value.to(torch.bfloat16).contiguous().view(torch.int16).numpy()
    shape = openvino.Shape(list(value.shape))
    tensor = openvino.Tensor(openvino.Type.bf16, shape)
    np.copyto(tensor.data.view(np.int16).reshape(bits.shape), bits)
    return operations.convert(operations.constant(tensor), "f32")


_FORMS: dict[str, Callable[[Tensor], Any]] = {
    "int8": _int8,
    "int8_blocks": _int8_blocks,
    "bfloat16": _bfloat16,
}


def _quantised(value: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Codes, and scales of `dtype`, one for each run along the last dimension."""
    codes = torch.empty(value.shape, dtype=torch.int8)
    scales = torch.empty((*value.shape[:-1], 1), dtype=dtype)
    for start in range(0, len(value), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        numbers = value[rows].float()
        scale = (numbers.abs().amax(-1, keepdim=True) / MOST_CODE).to(dtype)
        scales[rows] = scale.clamp_(min=torch.finfo(dtype).tiny)
        codes[rows] = (numbers / scales[rows].float()).round_().clamp_(-MOST_CODE, MOST_CODE)
    return codes, scales


def _constant(value: Tensor) -> Any:
    """A copy: a constant would keep no tensor alive."""
    return operations.constant(np.array(value.contiguous().numpy()))
