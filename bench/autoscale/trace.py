"""Recorded requests, and windows of them: traces whose columns are arrays."""

from __future__ import annotations

import csv
import gzip
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headrace.planning.trace import Trace

Floats = NDArray[np.float64]
AZURE = Path(__file__).parent / "data" / "azure-llm-2023-conv.csv.gz"


def window(trace: Trace, begin: float, seconds: float) -> Trace:
    """A part of it that begins at 0 again."""
    first, last = np.searchsorted(trace.arrivals, [begin, begin + seconds])
    return Trace(
        trace.arrivals[first:last] - begin,
        trace.prompts[first:last],
        trace.outputs[first:last],
        seconds,
    )


@cache
def read_trace(file: Path) -> Trace:
    """A CSV, gzipped or not, with TIMESTAMP, ContextTokens and GeneratedTokens.

    Raises `ValueError` where it has none of them.
    """
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", newline="") as lines:
        rows = list(csv.DictReader(lines))
    names = {"TIMESTAMP", "ContextTokens", "GeneratedTokens"}
    if not rows or not names <= set(rows[0]):
        raise ValueError(f"{file} has no lines with {', '.join(sorted(names))}")
    moments = np.array([_seconds(row["TIMESTAMP"]) for row in rows])
    order = np.argsort(moments, kind="stable")
    arrivals = moments[order] - moments[order[0]]
    prompts, outputs = (
        np.array([float(row[name]) for row in rows])[order]
        for name in ("ContextTokens", "GeneratedTokens")
    )
    return Trace(arrivals, prompts, np.maximum(outputs, 1.0), float(arrivals[-1]) + 1e-6)


def _seconds(stamp: str) -> float:
    """Of a date with up to seven digits of fraction, or of a plain number."""
    try:
        return float(stamp)
    except ValueError:
        whole, _dot, fraction = stamp.partition(".")
        return datetime.fromisoformat(whole).timestamp() + float(f"0.{fraction or 0}")
