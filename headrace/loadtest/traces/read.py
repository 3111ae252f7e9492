"""Which reader takes a `--trace`: a CSV of Azure's columns, or `mooncake:FILE`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headrace.loadtest.traces import azure, mooncake
from headrace.loadtest.traces.arrival import Arrival


def read_trace(text: str) -> Sequence[Arrival]:
    """The rows in order of time. Raises `InvalidRequest`, naming file, line and field."""
    scheme, colon, path = text.partition(":")
    if colon and scheme == "mooncake":
        return mooncake.read(Path(path))
    return azure.read(Path(text))
