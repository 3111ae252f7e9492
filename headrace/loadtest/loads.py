"""The loads of one test: each is measured as one level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from headrace.loadtest import arrivals
from headrace.loadtest.trace import Arrival


@dataclass(frozen=True)
class ClosedLoad:
    """So many users; each sends its next request when the last one is answered."""

    concurrency: int
    prompt_tokens: int
    max_tokens: int

    kind = "closed"

    @property
    def label(self) -> str:
        return str(self.concurrency)

    def describe(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class OpenLoad:
    """Requests come at `rate` a second in the mean, whatever becomes of those before."""

    rate: float
    arrivals: arrivals.Arrivals
    cv: float
    seed: int
    prompt_tokens: int
    max_tokens: int

    kind = "open"

    @property
    def label(self) -> str:
        return f"{self.rate:g}"

    def schedule(self) -> Iterator[Arrival]:
        for offset_s in arrivals.arrivals(self.arrivals, self.rate, self.cv, self.seed):
            yield Arrival(offset_s, self.prompt_tokens, self.max_tokens)

    def describe(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class TraceLoad:
    """Requests come as they once came, `speed` times as fast."""

    trace: Sequence[Arrival]
    speed: float

    kind = "trace"
    label = "trace"

    def schedule(self) -> Iterator[Arrival]:
        for row in self.trace:
            yield Arrival(row.offset_s / self.speed, row.prompt_tokens, row.max_tokens)

    def describe(self) -> dict[str, Any]:
        return {"speed": self.speed, "rows": len(self.trace)}


Load = ClosedLoad | OpenLoad | TraceLoad


@dataclass(frozen=True)
class Limits:
    """What ends a level: seconds or requests after its warm-up; neither: the trace's own end."""

    warmup_s: float
    duration_s: float | None
    requests: int | None
