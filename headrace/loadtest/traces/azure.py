"""Traces of Azure: a CSV of when requests came, and how long their prompts and answers were."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from headrace.core.errors import InvalidRequest
from headrace.loadtest.traces.arrival import Arrival

EPOCH = datetime(1970, 1, 1)
COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")


def read(path: Path) -> list[Arrival]:
    """The rows in order of time. Raises `InvalidRequest`, naming the line that is wrong."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(_rows(file.name, csv.DictReader(file)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequest(f"--trace: {path}: {error}") from error
    if not rows:
        raise InvalidRequest(f"--trace: {path} has no rows")
    first = min(when for when, _, _ in rows)
    return [
        Arrival((when - first).total_seconds(), prompt_tokens, max_tokens)
        for when, prompt_tokens, max_tokens in sorted(rows)
    ]


def _rows(name: str, reader: csv.DictReader[str]) -> Iterator[tuple[datetime, int, int]]:
    if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
        raise InvalidRequest(f"--trace: {name}: line 1: no column {', '.join(missing)}")
    for row in reader:
        try:
            yield _row(row)
        except (ValueError, TypeError) as error:
            raise InvalidRequest(f"--trace: {name}: line {reader.line_num}: {error}") from error


def _row(row: Mapping[str, str]) -> tuple[datetime, int, int]:
    prompt_tokens, max_tokens = int(row["ContextTokens"]), int(row["GeneratedTokens"])
    if prompt_tokens < 1 or max_tokens < 1:
        raise ValueError("token counts are at least 1")
    return _time(row["TIMESTAMP"]), prompt_tokens, max_tokens


def _time(text: str) -> datetime:
    """Of a date and time, or of seconds since whenever."""
    try:
        return EPOCH + timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        pass
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        example = "2023-11-16 18:15:46.68"
        raise ValueError(
            f"TIMESTAMP {text!r} is neither a number of seconds nor a time like {example}"
        ) from error
    if when.tzinfo is not None:
        when = when.replace(tzinfo=None) - (when.utcoffset() or when - when)
    return when
