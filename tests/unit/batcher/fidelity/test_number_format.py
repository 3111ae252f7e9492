"""The numbers that an engine computes with, told without loading it."""

from __future__ import annotations

import pytest

from batcher.engine_choice import EngineName
from batcher.fidelity.number_format import number_format
from headrace.core.settings import load_settings


@pytest.mark.parametrize(
    ("features", "engine", "dtype", "expected"),
    [
        (["avx512_vnni"], "openvino", "auto", "int8"),
        (["avx512_vnni", "amx_bf16"], "openvino", "auto", "bfloat16"),
        (["avx512_bf16"], "torch", "auto", "bfloat16"),
        (["avx512_vnni"], "torch", "auto", "int8"),
        (["avx2", "avx_vnni"], "torch", "auto", "int8"),
        (["avx512_vnni", "avx512_bf16"], "torch", "auto", "bfloat16"),
        (["avx512_vnni"], "torch", "float32", "float32"),
        (["amx_bf16"], "torch", "int8", "int8"),
        ([], "torch", "auto", "float32"),
        (["amx_bf16"], "torch", "float32", "float32"),
        ([], "openvino", "bfloat16", "bfloat16"),
    ],
)
def test_the_processor_decides_where_nobody_else_does(
    monkeypatch: pytest.MonkeyPatch,
    features: list[str],
    engine: EngineName,
    dtype: str,
    expected: str,
) -> None:
    monkeypatch.setattr("batcher.fidelity.number_format.cpu_features", lambda: features)
    assert number_format(load_settings(dtype=dtype, device="cpu"), engine) == expected
