"""Saved reports of made-up runs, whose requests share the fate of their batch."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence
from typing import Any

from headrace.loadtest.saved import (
    SavedLevel,
    SavedLoad,
    SavedRecords,
    SavedReport,
    SavedSpread,
)
from headrace.loadtest.slo import Slo

TOKENS = 16
SLO = Slo(latency_s=1.0, tpot_s=0.15)


def a_report(*levels: SavedLevel, **changes: Any) -> SavedReport:
    """A change of the load is named `load_NAME`."""
    of_the_load = {name[5:]: changes.pop(name) for name in [*changes] if name.startswith("load_")}
    load: dict[str, Any] = {
        "warmup_s": 5.0,
        "duration_s": 40.0,
        "requests": None,
        "timeout_s": 600.0,
        "temperature": 0.0,
        "prompts_file": None,
        "repeat_prompts": False,
        "seed": 0,
        "slo": SLO,
    }
    fields: dict[str, Any] = {
        "headrace": "0.1.0",
        "started_at": "2026-11-23T12:00:00+00:00",
        "url": "http://127.0.0.1:8000",
        "api": "stream",
        "model": "tiny",
        "machine": {"cpu": "2 x fast"},
        "load": SavedLoad(**load | of_the_load),
        "levels": levels,
    }
    return SavedReport(**fields | changes)


def a_level(records: SavedRecords, users: int = 4, **changes: Any) -> SavedLevel:
    ends = [at_s + (e2e_s or 0.0) for at_s, e2e_s in zip(records.at_s, records.e2e_s, strict=True)]
    fields: dict[str, Any] = {
        "label": str(users),
        "kind": "closed",
        "valid": True,
        "problems": (),
        "began_s": 5.0,
        "window_s": max(ends),
        "ttft": SavedSpread("client"),
        "tpot": SavedSpread("server"),
        "fleet": None,
        "records": records,
        "prompt_tokens": 32,
        "max_tokens": TOKENS,
        "concurrency": users,
    }
    return SavedLevel(**fields | changes)


def a_run(
    seed: int, users: int = 4, requests: int = 120, e2e_s: float = 0.5, noise: float = 0.05
) -> SavedLevel:
    """A closed loop. Half of the noise is that of the moment, and lasts about one answer."""
    draw = random.Random(seed)
    free = [0.0] * users
    rows: list[tuple[float, float]] = []
    shared = draw.gauss()
    while len(rows) < requests:
        at_s = heapq.heappop(free)
        kept = math.exp(-(at_s - (rows[-1][0] if rows else 0.0)) / e2e_s)
        shared = kept * shared + math.sqrt(1 - kept**2) * draw.gauss()
        took_s = e2e_s * math.exp(noise * (shared + draw.gauss()))
        rows.append((at_s, took_s))
        heapq.heappush(free, at_s + took_s)
    return a_level(answered([at_s for at_s, _ in rows], [took_s for _, took_s in rows]), users)


def answered(
    at_s: Sequence[float], e2e_s: Sequence[float | None], **changes: Sequence[Any]
) -> SavedRecords:
    """First tokens after a fifth of the time; None failed."""
    columns: dict[str, Any] = {
        "at_s": [round(each, 4) for each in at_s],
        "measured": [each >= 0 for each in at_s],
        "e2e_s": [_part(each, 1) for each in e2e_s],
        "ttft_s": [_part(each, 0.2) for each in e2e_s],
        "tpot_s": [_part(each, 0.8 / (TOKENS - 1)) for each in e2e_s],
        "input_tokens": [32] * len(at_s),
        "output_tokens": [0 if each is None else TOKENS for each in e2e_s],
    }
    return SavedRecords(**{name: tuple(column) for name, column in (columns | changes).items()})


def _part(seconds: float | None, share: float) -> float | None:
    return None if seconds is None else round(seconds * share, 5)
