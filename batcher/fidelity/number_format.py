"""The numbers that an engine computes with on this machine, by name."""

from __future__ import annotations

from batcher.engine_choice import EngineName, takes_gpu
from headrace.core.cpu_features import cpu_features
from headrace.core.settings import Settings

BFLOAT16_FEATURES = frozenset({"amx_bf16", "avx512_bf16"})


def number_format(settings: Settings, engine: EngineName) -> str:
    """`float32`, `bfloat16`, or `int8` where OpenVINO quantises activations as it goes."""
    if settings.dtype != "auto":
        return settings.dtype
    if engine == "torch" and takes_gpu(settings):
        return "bfloat16"
    if BFLOAT16_FEATURES & set(cpu_features()):
        return "bfloat16"
    return "int8" if engine == "openvino" else "float32"
