"""What the scaler read, wanted and did: a capped stream in Redis."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from headrace.core.connection import Client
from headrace.core.jobs import keys


@dataclass(frozen=True, slots=True)
class Record:
    """One decision: the policy `wanted` so many workers for this `reason`, the scaler kept `size`.

    None: it wanted nothing, since the `reading` was unknown. `mode` is `auto`, `fixed` or `paused`;
    `reading` holds the fields of the scaler's readings. `at` is Redis TIME, s since the epoch;
    `fence` the fencing number of the scaler, which never falls as long as Redis keeps its data.
    """

    at: float
    wanted: int | None
    size: int | None
    reason: str
    mode: str = "auto"
    flags: tuple[str, ...] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)
    fence: int = 0

    def encode(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def decode(text: bytes) -> Record:
        fields = json.loads(text)
        return Record(**fields | {"flags": tuple(fields["flags"])})


def decisions(redis: Client, limit: int) -> list[Record]:
    """The newest records, oldest of them first."""
    entries = redis.xrevrange(keys.DECISIONS, count=limit)
    return [Record.decode(fields[b"record"]) for _place, fields in reversed(entries)]
