"""Recorded requests, windows of them, and the columns of a trace as arrays."""

from __future__ import annotations

import csv
import gzip
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headrace.planning.trace import Trace

Floats = NDArray[np.float64]
AZURE = Path(__file__).parent / "data" / "azure-llm-2023-conv.csv.gz"


class Columns(NamedTuple):
    """Columns that a trace has for each request."""

    arrivals: Floats
    prompts: Floats
    outputs: Floats

    def trace(self, seconds: float) -> Trace:
        return Trace(self.arrivals.tolist(), self.prompts.tolist(), self.outputs.tolist(), seconds)


def columns(trace: Trace) -> Columns:
    return Columns(*map(np.asarray, (trace.arrivals, trace.prompts, trace.outputs)))


def window(trace: Trace, begin: float, seconds: float) -> Trace:
    """A part of it that begins at 0 again."""
    whole = columns(trace)
    first, last = np.searchsorted(whole.arrivals, [begin, begin + seconds])
    arrivals, prompts, outputs = (column[first:last] for column in whole)
    return Columns(arrivals - begin, prompts, outputs).trace(seconds)


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
    found = Columns(arrivals, prompts, np.maximum(outputs, 1.0))
    return found.trace(float(arrivals[-1]) + 1e-6)


def _seconds(stamp: str) -> float:
    """Of a date with up to seven digits of fraction, or of a plain number."""
    try:
        return float(stamp)
    except ValueError:
        whole, _dot, fraction = stamp.partition(".")
        return datetime.fromisoformat(whole).timestamp() + float(f"0.{fraction or 0}")
