"""The loads of one test: each is measured as one level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from headrace.loadtest import arrivals
from headrace.loadtest.ramp import Ramp
from headrace.loadtest.traces.arrival import Arrival


@dataclass(frozen=True)
class ClosedLoad:
    """This many users; each sends its next request when the last one is answered.

    With a `ramp` their number rises to `concurrency`. Sizes of 0 are those of the data set.
    """

    concurrency: int
    prompt_tokens: int
    max_tokens: int
    ramp: Ramp | None = None

    kind = "closed"

    @property
    def label(self) -> str:
        return _label(self.ramp, self.concurrency)

    def joins_s(self, user: int) -> float:
        """When the user of this number, from 0, begins: s after the level."""
        return self.ramp.joins_s(self.concurrency, user) if self.ramp else 0.0

    def mean_users(self, seconds: float) -> float:
        """The time average over the first `seconds` of the window."""
        return self.ramp.mean_users(self.concurrency, seconds) if self.ramp else self.concurrency

    def at(self, at_s: float) -> float:
        """Users at `at_s` after the begin."""
        return self.ramp.users(self.concurrency, at_s) if self.ramp else self.concurrency

    def describe(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class OpenLoad:
    """Requests come at `rate` a second in the mean, whatever becomes of those before.

    With a `ramp` the rate rises to `rate`. Sizes of 0 are those of the data set.
    """

    rate: float
    arrivals: arrivals.Arrivals
    cv: float
    seed: int
    prompt_tokens: int
    max_tokens: int
    ramp: Ramp | None = None

    kind = "open"

    @property
    def label(self) -> str:
        return _label(self.ramp, self.rate)

    def schedule(self) -> Iterator[Arrival]:
        for offset_s in self._offsets():
            yield Arrival(offset_s, self.prompt_tokens, self.max_tokens)

    def at(self, at_s: float) -> float:
        """Requests/s at `at_s` after the begin."""
        return self.ramp.rate(self.rate, at_s) if self.ramp else self.rate

    def _offsets(self) -> Iterator[float]:
        if self.ramp is None:
            return arrivals.arrivals(self.arrivals, self.rate, self.cv, self.seed)
        ramp, numbers = self.ramp, arrivals.arrivals(self.arrivals, 1.0, self.cv, self.seed)
        return (ramp.arrival_s(self.rate, number) for number in numbers)

    def describe(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class TraceLoad:
    """Requests come as they once came, `speed` times as fast."""

    trace: Sequence[Arrival]
    speed: float

    kind = "trace"
    label = "trace"
    ramp = None

    def schedule(self) -> Iterator[Arrival]:
        for row in self.trace:
            yield replace(row, offset_s=row.offset_s / self.speed)

    def describe(self) -> dict[str, Any]:
        return {"speed": self.speed, "rows": len(self.trace)}


def _label(ramp: Ramp | None, value: float) -> str:
    return f"{ramp.start:g}:{value:g}" if ramp else f"{value:g}"


Load = ClosedLoad | OpenLoad | TraceLoad


@dataclass(frozen=True)
class Limits:
    """What ends a level: seconds or requests after its warm-up; neither: the trace's own end."""

    warmup_s: float
    duration_s: float | None
    requests: int | None
