"""Traces of Mooncake: JSON lines of when a request came, its lengths, and the blocks it shares.

The format of github.com/kvcache-ai/Mooncake: `timestamp` in ms, `input_length` and `output_length`
in tokens, `hash_ids` of the prompt's blocks of 512 tokens.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from headrace.core.errors import InvalidRequest
from headrace.loadtest.json_items import read_items
from headrace.loadtest.traces.arrival import BLOCK_TOKENS, Arrival

MOST_ROWS, MOST_TOKENS = 1_000_000, 10_000_000


def read(path: Path) -> list[Arrival]:
    """The rows in order of time. Raises `InvalidRequest`, naming file, line and field."""
    rows: list[tuple[float, Arrival]] = []
    for item in read_items("--trace", path):
        place = f"--trace: {path}: line {item.line}"
        if len(rows) == MOST_ROWS:
            raise InvalidRequest(f"{place}: more than {MOST_ROWS:,} rows")
        try:
            rows.append(_row(item.value))
        except (ValueError, OverflowError) as error:
            raise InvalidRequest(f"{place}: {error}") from error
    if not rows:
        raise InvalidRequest(f"--trace: {path} has no rows")
    rows.sort(key=lambda row: row[0])
    first_ms = rows[0][0]
    return [
        Arrival((at_ms - first_ms) / 1000, row.prompt_tokens, row.max_tokens, row.blocks)
        for at_ms, row in rows
    ]


def _row(value: Any) -> tuple[float, Arrival]:
    """The time in ms, and the request. Raises `ValueError`, naming the field."""
    if not isinstance(value, dict):
        raise ValueError("a row is an object with timestamp, input_length and output_length")
    prompt_tokens, max_tokens = _count(value, "input_length"), _count(value, "output_length")
    blocks = _blocks(value.get("hash_ids", []))
    if (len(blocks) - 1) * BLOCK_TOKENS >= prompt_tokens:
        raise ValueError(
            f"hash_ids: {len(blocks)} blocks of {BLOCK_TOKENS} tokens for an input_length of"
            f" {prompt_tokens}"
        )
    return _time_ms(value), Arrival(0.0, prompt_tokens, max_tokens, blocks)


def _time_ms(row: dict[str, Any]) -> float:
    time_ms = _field(row, "timestamp")
    if not _is_number(time_ms) or not math.isfinite(time_ms):
        raise ValueError(f"timestamp: {time_ms!r} is no number of ms")
    return float(time_ms)


def _count(row: dict[str, Any], name: str) -> int:
    count = _field(row, name)
    if not _is_whole(count) or not 1 <= count <= MOST_TOKENS:
        raise ValueError(f"{name}: {count!r} is no number of tokens from 1 to {MOST_TOKENS:,}")
    return int(count)


def _field(row: dict[str, Any], name: str) -> Any:
    if name not in row:
        raise ValueError(f"{name}: missing")
    return row[name]


def _blocks(ids: Any) -> tuple[int, ...]:
    if not isinstance(ids, list) or not all(_is_whole(each) for each in ids):
        raise ValueError("hash_ids: is no list of whole numbers")
    return tuple(ids)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or _is_whole(value)
