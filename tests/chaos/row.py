"""One row of the results: a fault over all its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from headrace.loadtest.quantiles import percentile
from tests.chaos.fault import Fault
from tests.chaos.run import Run


@dataclass(frozen=True)
class Row:
    """`recoveries` are in seconds, ascending; `broken` are the bounds that did not hold."""

    fault: Fault
    seeds: int
    jobs: int
    lost: int
    duplicated: int
    contradicted: int
    redelivered: int
    blamed: int
    recoveries: tuple[float, ...]
    broken: tuple[str, ...]

    @classmethod
    def of(cls, fault: Fault, runs: Sequence[Run]) -> Self:
        recoveries = tuple(sorted(seconds for run in runs for seconds in run.recoveries))
        verdicts = [run.verdict for run in runs]
        return cls(
            fault=fault,
            seeds=len(runs),
            jobs=sum(verdict.jobs for verdict in verdicts),
            lost=sum(len(verdict.lost) for verdict in verdicts),
            duplicated=sum(len(verdict.duplicated) for verdict in verdicts),
            contradicted=sum(len(verdict.contradicted) for verdict in verdicts),
            redelivered=sum(len(verdict.redelivered) for verdict in verdicts),
            blamed=sum(len(verdict.blamed) for verdict in verdicts),
            recoveries=recoveries,
            broken=(*_broken(runs), *_too_slow(fault, recoveries)),
        )

    @property
    def held(self) -> bool:
        return not self.broken

    def recovery_s(self, percent: int) -> float | None:
        """None where nothing had to recover; 100 is the longest."""
        return percentile(self.recoveries, percent) if self.recoveries else None

    def as_json(self) -> dict[str, Any]:
        counts = ("seeds", "jobs", "lost", "duplicated", "contradicted", "redelivered", "blamed")
        percents = {"p50": 50, "p99": 99, "max": 100}
        recovery = {name: rounded(self.recovery_s(percent)) for name, percent in percents.items()}
        return {
            "fault": self.fault.number,
            "name": self.fault.name,
            **{name: getattr(self, name) for name in counts},
            "recovery_s": recovery | {"count": len(self.recoveries)},
            "recovery_bound_s": self.fault.recovery_bound_s,
            "bound_held": self.held,
            "broken": list(self.broken),
        }


def rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _broken(runs: Sequence[Run]) -> list[str]:
    return [f"seed {run.seed}: {text}" for run in runs for text in run.broken]


def _too_slow(fault: Fault, recoveries: Sequence[float]) -> list[str]:
    bound_s = fault.recovery_bound_s
    if bound_s is None or not recoveries or (p99 := percentile(recoveries, 99)) <= bound_s:
        return []
    return [f"recovery took {p99:.2f} s at the 99th percentile, {bound_s:g} s are allowed"]
