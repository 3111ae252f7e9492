"""What vLLM's build for CPUs is told through its environment, as its documentation recommends."""

from __future__ import annotations

import os
from ctypes.util import find_library
from pathlib import Path

CACHE_GB = 2
FIXED = {
    "VLLM_CPU_KVCACHE_SPACE": str(CACHE_GB),
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",  # it would leave one of two cores idle
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}
IN_PROCESS = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine in our process: nothing is sent about
    "KMP_BLOCKTIME": "5",  # this one and the next are what its own launcher sets
    "KMP_TPAUSE": "0",
}


def vllm_variables(home: Path, threads: int) -> dict[str, str]:
    """Variables of its engine in a process of ours; `home` is its virtual environment.

    Threads are bound as its launcher binds them.
    """
    return (
        IN_PROCESS
        | _shared(home)
        | {
            "OMP_NUM_THREADS": str(threads),
            "KMP_AFFINITY": f"granularity=fine,explicit,proclist=[{_cores(threads)}]",
        }
    )


def vllm_server_variables(home: Path, threads: int) -> dict[str, str]:
    """Variables of its server, which binds the threads of its engine's process itself."""
    return _shared(home) | {"VLLM_CPU_OMP_THREADS_BIND": _cores(threads)}


def _shared(home: Path) -> dict[str, str]:
    """Variables of a server that compiles into `home`, where Intel's OpenMP is, too."""
    libraries = [str(home / "lib" / "libiomp5.so"), find_library("tcmalloc_minimal")]
    return FIXED | {
        "VLLM_CACHE_ROOT": str(home / "cache"),
        "TORCHINDUCTOR_CACHE_DIR": str(home / "cache" / "inductor"),
        "LD_PRELOAD": ":".join(library for library in libraries if library),
    }


def _cores(threads: int) -> str:
    return ",".join(map(str, sorted(os.sched_getaffinity(0))[:threads]))
