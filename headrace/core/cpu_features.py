"""What the processor can do that decides how fast an engine is on it."""

from __future__ import annotations

import os
import re
from pathlib import Path

CPU_FACTS = Path("/proc/cpuinfo")
_X86 = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "avx512_fp16")
_AMX = ("amx_tile", "amx_int8", "amx_bf16")
NAMES = (*_X86, *_AMX, *("asimddp", "i8mm", "bf16", "sve", "sve2", "sme"))
"""Those of x86, then those of ARM: wide vectors, and products of few bits."""

CAP = "ONEDNN_MAX_CPU_ISA"
"""Bounds what oneDNN, with which both engines multiply, uses of the processor."""

_CAPS = {
    "AVX2": ("avx2",),
    "AVX2_VNNI": ("avx2", "avx_vnni"),
    "AVX512_CORE": ("avx2", "avx512f"),
    "AVX512_CORE_VNNI": ("avx2", "avx512f", "avx512_vnni"),
    "AVX512_CORE_BF16": ("avx2", "avx512f", "avx512_vnni", "avx512_bf16"),
    "AVX512_CORE_FP16": _X86,
}
"""What is left under a bound; any other leaves all."""


def cpu_features(facts: Path = CPU_FACTS) -> list[str]:
    """Those of `NAMES` that the system reports, within `CAP`; empty where it reports none."""
    if not facts.exists():
        return []
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", facts.read_text(), re.M)
    flags = set(found[1].split()) if found else set()
    usable = _CAPS.get(os.environ.get(CAP, "").upper(), NAMES)
    return [name for name in NAMES if name in flags and name in usable]
