"""The loads: how requests come, and what goes wrong meanwhile.

Rates are in workers: 1 is what one worker with full slots can do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.autoscale.trace import AZURE, Columns, Floats, columns, read_trace, window
from headrace.planning.machine import Machine
from headrace.planning.simulator import NO_SPAN, Span
from headrace.planning.trace import Trace

Rate = Callable[[Floats], Floats]
PROMPTS = (20, 400)
LONG_OUTPUTS = (1000, 2000)


@dataclass(frozen=True)
class Constant:
    level: float

    def __call__(self, moments: Floats) -> Floats:
        return np.full_like(moments, self.level)


@dataclass(frozen=True)
class Between:
    """`high` from `begin` to `end`, else `low`."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, moments: Floats) -> Floats:
        return np.where((moments >= self.begin) & (moments < self.end), self.high, self.low)


@dataclass(frozen=True)
class Wave:
    low: float
    high: float
    period_s: float

    def __call__(self, moments: Floats) -> Floats:
        share = (1 - np.cos(2 * np.pi * moments / self.period_s)) / 2
        return self.low + (self.high - self.low) * share


@dataclass(frozen=True)
class Load:
    """`rate` in workers at each moment, or `file`, of which a window is taken.

    `cv`: of the times between arrivals, drawn from a Gamma distribution; 1 is Poisson.
    `outage`: when no policy can read anything. `crashes`: when workers die as they come.
    `cold_starts_s`: None for those of the run.
    """

    name: str
    seconds: float = 900.0
    rate: Rate | None = None
    file: Path | None = None
    cv: float = 1.0
    is_long: bool = False
    outage: Span = NO_SPAN
    crashes: Span = NO_SPAN
    cold_starts_s: tuple[float, ...] | None = None

    def draw(self, machine: Machine, seed: int) -> Trace:
        """The same for every policy and cold start."""
        draw = np.random.default_rng([seed, _digest(self.name)])
        if self.file is not None:
            whole = read_trace(self.file)
            seconds = min(self.seconds, whole.seconds)
            return window(whole, draw.uniform(0, whole.seconds - seconds), seconds)
        arrivals = self._arrivals(machine, draw)
        prompts = draw.integers(*PROMPTS, size=len(arrivals), endpoint=True).astype(float)
        found = Columns(arrivals, prompts, self._outputs(draw, len(arrivals)))
        return found.trace(self.seconds)

    def _arrivals(self, machine: Machine, draw: np.random.Generator) -> Floats:
        """A renewal process of rate 1, bent to the rate that is wanted."""
        assert self.rate is not None
        grid = np.linspace(0, self.seconds, int(self.seconds) * 4 + 1)
        job_rate = machine.jobs_per_s(sum(PROMPTS) / 2, self._mean_output())
        rates = self.rate(grid) * job_rate
        work = np.concatenate([[0], np.cumsum((rates[1:] + rates[:-1]) / 2 * np.diff(grid))])
        shape = 1 / self.cv**2
        count = int(work[-1] * 1.2 + 20 * self.cv * np.sqrt(work[-1]) + 100)
        moments = np.cumsum(draw.gamma(shape, 1 / shape, size=count))
        found: Floats = np.interp(moments[moments < work[-1]], work, grid)
        return found

    def _outputs(self, draw: np.random.Generator, count: int) -> Floats:
        if self.is_long:
            return draw.integers(*LONG_OUTPUTS, size=count, endpoint=True).astype(float)
        return draw.choice(columns(read_trace(AZURE)).outputs, size=count)

    def _mean_output(self) -> float:
        return (
            sum(LONG_OUTPUTS) / 2
            if self.is_long
            else float(columns(read_trace(AZURE)).outputs.mean())
        )


STEP = Between(0.5, 5.0, 120, 1e9)
SPIKE = Between(0.5, 5.0, 240, 360)

LOADS = {
    load.name: load
    for load in (
        Load("constant", rate=Constant(2.5)),
        Load("step", rate=STEP),
        Load("spike", rate=SPIKE),
        Load("diurnal", seconds=1800, rate=Wave(0.5, 5.0, 900)),
        Load("gamma-2", rate=Constant(2.5), cv=2),
        Load("gamma-5", rate=Constant(2.5), cv=5),
        Load("gamma-10", rate=Constant(2.5), cv=10),
        Load("azure", file=AZURE),
        Load("long-jobs", rate=Between(0.5, 3.0, 120, 600), is_long=True),
        Load("outage", rate=SPIKE, outage=Span(270, 420)),
        Load("crash-loop", rate=STEP, crashes=Span(100, 240)),
        Load("slow-start", rate=STEP, cold_starts_s=(300,)),
    )
}


def load_of_file(file: Path) -> Load:
    return Load(file.name, file=file)


def _digest(name: str) -> int:
    return int.from_bytes(name.encode()[:8].ljust(8, b"\0"), "big")
