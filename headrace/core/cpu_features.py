"""What the processor can do that decides how fast an engine is on it."""

from __future__ import annotations

import re
from pathlib import Path

CPU_FACTS = Path("/proc/cpuinfo")
NAMES = (
    *("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16"),
    *("asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)
"""Those of x86, then those of ARM: wide vectors, and products of few bits."""


def cpu_features(facts: Path = CPU_FACTS) -> list[str]:
    """Those of `NAMES` that the system reports; empty where it reports none."""
    if not facts.exists():
        return []
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", facts.read_text(), re.M)
    flags = set(found[1].split()) if found else set()
    return [name for name in NAMES if name in flags]
