"""The machine that something ran on, to be read beside what was measured there."""

from __future__ import annotations

import platform
from pathlib import Path

from headrace.core.cores import available_cores

CPU_FACTS = Path("/proc/cpuinfo")

FEATURES = frozenset(
    {
        *("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
        *("amx_tile", "amx_int8", "amx_bf16", "asimddp", "bf16", "i8mm"),
    }
)
"""What decides how fast a processor multiplies, and in which number formats."""


def machine() -> dict[str, str]:
    return {
        "cpu": f"{available_cores()} x {cpu_name()}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def cpu_features() -> frozenset[str]:
    """Those of `FEATURES` that this processor has; none where nothing says so."""
    if not CPU_FACTS.exists():
        return frozenset()
    lines = CPU_FACTS.read_text().splitlines()
    flags = [line for line in lines if line.startswith(("flags", "Features"))]
    return FEATURES & set(flags[0].split()) if flags else frozenset()


def cpu_name() -> str:
    if CPU_FACTS.exists():
        for line in CPU_FACTS.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
