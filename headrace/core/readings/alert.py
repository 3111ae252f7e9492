"""One alert that the monitor has raised."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal, Self

Severity = Literal["page", "ticket"]


@dataclass(frozen=True, slots=True)
class Alert:
    """`since` and `until` are seconds since the epoch; `until` is None while it lasts."""

    name: str
    severity: Severity
    summary: str
    description: str
    since: float
    until: float | None = None

    def encode(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: bytes) -> Self:
        return cls(**json.loads(text))
