"""The numbers that an engine computes with on this machine, by name."""

from __future__ import annotations

from batcher.engine_choice import EngineName, takes_gpu
from headrace.core.cpu_features import cpu_features
from headrace.core.settings import Settings

BFLOAT16_FEATURES = frozenset({"amx_bf16", "avx512_bf16"})
INT8_FEATURES = frozenset({"amx_int8", "avx512_vnni", "avx_vnni"})


def number_format(settings: Settings, engine: EngineName) -> str:
    """`float32`, `bfloat16`, or `int8`: products of 8 bits, in torch's weights or as OpenVINO goes.

    `auto` leaves it to the processor.
    """
    if settings.dtype != "auto":
        return settings.dtype
    if engine == "torch" and takes_gpu(settings):
        return "bfloat16"
    features = frozenset(cpu_features())
    if BFLOAT16_FEATURES & features:
        return "bfloat16"
    return "int8" if engine == "openvino" or INT8_FEATURES & features else "float32"
