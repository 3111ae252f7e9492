"""Memory that was freed, given back to the system: the C library keeps what lies between blocks."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Where the C library is glibc. Quantising SmolLM2 leaves 380 MB of float32 weights behind."""
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)
