"""Weights of a GGUF file that OpenVINO's reader rounded, put back as the file defines them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import openvino
from gguf import GGMLQuantizationType as Kind
from numpy.typing import NDArray
from openvino import opset13 as operations

from batcher.gguf_reading import read_gguf
from batcher.openvino_engine.block_codes import Blocks, Held, fine_steps, fit_blocks, real_zero
from headrace.core.errors import ModelError

ROUNDED = frozenset({Kind.Q2_K, Kind.Q4_1, Kind.Q4_K, Kind.Q5_1, Kind.Q5_K})
"""Kinds whose blocks have a least value: the zero that the reader rounds."""

EXACT_PRODUCTS = ("attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_qkv.weight")
"""Matrices whose activations stay unquantised on VNNI.

Quantised to 8 bits in groups of 32 they cost SmolLM2 0.0038 nats a token, half of it in these.
They are an eighth of its products.
"""


Form = Callable[[Blocks], Held]


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix of the model in blocks: the node that makes its values, and what it makes them of.

    `codes` [rows, blocks, size] u4, `zero` and `scale` [rows, blocks, 1].
    """

    product: Any
    codes: NDArray[np.uint8]
    zero: NDArray[np.uint8]
    scale: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int]:
        rows, blocks, size = self.codes.shape
        return rows, blocks * size

    def row(self, number: int) -> NDArray[np.float32]:
        codes, zero = (each[number].astype(np.float32) for each in (self.codes, self.zero))
        row: NDArray[np.float32] = ((codes - zero) * self.scale[number]).reshape(-1)
        return row


def form_of(name: str) -> Form:
    """The form that a matrix of this name is held in."""
    return real_zero if name.endswith(EXACT_PRODUCTS) else fine_steps


def restore_weights(
    model: openvino.Model, file: Path, form_of: Callable[[str], Form] = form_of
) -> dict[str, int]:
    """Puts every rounded matrix back. Returns how many were put back in each form.

    Raises `ModelError` for a matrix that cannot be told from the file.
    """
    reader = read_gguf(file)
    tensors = {tensor.name: tensor for tensor in reader.tensors if tensor.tensor_type in ROUNDED}
    heads = _head_counts(reader)
    counts: Counter[str] = Counter()
    left = {name: _first_row(tensor) for name, tensor in tensors.items()}
    for matrix in _matrices(model) if tensors else ():
        name = _nearest(matrix, left, tensors)
        if name is None:
            continue
        del left[name]
        values = gguf.quants.dequantize(tensors[name].data, tensors[name].tensor_type)
        blocks = _blocks_of(matrix, values, heads)
        if blocks is None:
            raise ModelError(f"the reader of OpenVINO changed the codes of {name}")
        form = form_of(name)
        _replace(matrix, form(blocks))
        counts[form.__name__] += 1
    if left:
        raise ModelError(f"OpenVINO's model has no matrix for {', '.join(sorted(left)[:3])}")
    return dict(counts)


def _matrices(model: openvino.Model) -> Iterator[Matrix]:
    """Those with codes of 4 bits; the reader makes them codes - zero, times a scale."""
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Subtract":
            continue
        codes, zero = (_source(_source(node, place), 0) for place in (0, 1))
        users = [user.get_node() for user in node.output(0).get_target_inputs()]
        if len(users) != 1 or users[0].get_type_name() != "Multiply":
            continue
        scale = _source(users[0], 1)
        if codes and zero and codes.get_element_type() == openvino.Type.u4:
            values = np.asarray(scale.data, np.float32)
            yield Matrix(users[0], _unpack(codes), _unpack(zero), values)


def _source(node: Any, place: int) -> Any:
    """The node that an input comes from; None for an input of a constant."""
    return node.input_value(place).get_node() if node and node.get_input_size() > place else None


def _unpack(constant: Any) -> NDArray[np.uint8]:
    """Two codes a byte, the low half first."""
    packed = np.asarray(constant.data).reshape(-1)
    if constant.get_element_type() != openvino.Type.u4:
        return packed.reshape(tuple(constant.shape))
    codes = np.stack([packed & 15, packed >> 4], axis=-1).reshape(-1)
    return codes[: int(np.prod(list(constant.shape)))].reshape(tuple(constant.shape))


def _nearest(
    matrix: Matrix, first_rows: Mapping[str, NDArray[np.float32]], tensors: Mapping[str, Any]
) -> str | None:
    """The tensor of this shape whose first row is that of the matrix, but for its rounding."""
    row = matrix.row(0)
    alike = {
        name: float(np.abs(first - row).mean())
        for name, first in first_rows.items()
        if tuple(reversed(tensors[name].shape.tolist())) == matrix.shape
    }
    return min(alike, key=alike.__getitem__) if alike else None


def _first_row(tensor: Any) -> NDArray[np.float32]:
    row: NDArray[np.float32] = gguf.quants.dequantize(tensor.data[:1], tensor.tensor_type)[0]
    return row


def _blocks_of(matrix: Matrix, values: NDArray[np.float32], heads: Sequence[int]) -> Blocks | None:
    """The blocks of `values` with the reader's codes, whatever order it gave the rows."""
    for ordered in (values, *(_unrotated(values, count) for count in heads)):
        blocks = fit_blocks(matrix.codes, ordered.reshape(matrix.codes.shape))
        if blocks is not None:
            return blocks
    return None


def _unrotated(values: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Queries and keys of Llama: the file has the two halves of each head's rows in turn."""
    rows, columns = values.shape
    if rows % (2 * heads):
        return values
    pairs = values.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)


def _head_counts(reader: Any) -> list[int]:
    fields = [name for name in reader.fields if ".attention.head_count" in name]
    counts = {int(reader.fields[name].contents()) for name in fields}
    return sorted(counts)


def _replace(matrix: Matrix, held: Held) -> None:
    codes = operations.convert(_constant(held.codes), "f16")
    if held.zero is not None:
        codes = operations.subtract(codes, operations.constant(held.zero))
    values = operations.multiply(codes, operations.constant(held.scale))
    matrix.product.output(0).replace(values.output(0))


def _constant(codes: NDArray[Any]) -> Any:
    """Unsigned codes are below 16 and take half a byte each."""
    if codes.dtype != np.uint8:
        return operations.constant(codes)
    flat = codes.reshape(-1)
    packed = flat[0::2] | (flat[1::2] << 4)
    tensor = openvino.Tensor(openvino.Type.u4, openvino.Shape(codes.shape))
    tensor.data.reshape(-1)[:] = packed  # its own memory: a constant would keep no array alive
    return operations.constant(tensor)
