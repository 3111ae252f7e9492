"""Two reports of the same load beside each other: is B slower, faster or equal?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from headrace.core.errors import InvalidRequest
from headrace.loadtest.change import Change, Status, change
from headrace.loadtest.metric import Metric, metrics
from headrace.loadtest.saved import SavedLevel, SavedReport
from headrace.loadtest.service_level import Bounds
from headrace.loadtest.slo import Slo

TOLERANCE = 0.05
ERROR = 0.05
"""How often equal runs may be told apart, over all levels and metrics of a comparison."""

ROUNDS = 200
"""Enough resamples for a standard error (Efron & Tibshirani 1993)."""

SAME_LOAD = ("temperature", "prompts_file", "repeat_prompts", "dataset", "timeout_s")
SAME_LEVEL = (
    *("concurrency", "rate", "ramp", "arrivals", "cv", "speed", "rows"),
    *("prompt_tokens", "max_tokens"),
)
MAY_DIFFER = ("seed", "warmup_s", "duration_s", "requests", "repeat")

CHIEF = "e2e.p50"
"""Two runs are not called equal by whatever else where this is unsure."""

Runs = Sequence[SavedLevel]
"""One level of one report, once or several times."""

Verdict = Status | Literal["not comparable"]


@dataclass(frozen=True)
class ComparedLevel:
    """`not_compared` says of a metric why; `problems`, why none is compared."""

    kind: str
    level: str
    changes: Sequence[Change]
    not_compared: Mapping[str, str]
    problems: Sequence[str]

    @property
    def is_told(self) -> bool:
        """Equal errors alone say nothing about speed."""
        return any(each.metric == CHIEF and each.status == "equal" for each in self.changes)


@dataclass(frozen=True)
class Comparison:
    """`confidence` is that of each interval: so all hold at once, but for one time in twenty."""

    levels: Sequence[ComparedLevel]
    only_in_a: Sequence[str]
    only_in_b: Sequence[str]
    notes: Sequence[str]
    tolerance: float
    confidence: float

    @property
    def verdict(self) -> Verdict:
        """One metric that is slower outweighs all that are faster."""
        if not self.levels or any(level.problems for level in self.levels):
            return "not comparable"
        found = {each.status for level in self.levels for each in level.changes}
        if "slower" in found:
            return "slower"
        if "faster" in found:
            return "faster"
        return "equal" if all(level.is_told for level in self.levels) else "unsure"


def compare(
    a: SavedReport, b: SavedReport, tolerance: float = TOLERANCE, rounds: int = ROUNDS
) -> Comparison:
    """Raises `InvalidRequest` where the loads differ, naming in what."""
    pairs = [(level, _named(b)[name]) for name, level in _named(a).items() if name in _named(b)]
    _require_same_load(a, b, pairs)
    bounds = [Bounds(name, **asdict(each)) for name, each in a.load.goodput.items()]
    compared = metrics(bounds)
    error = ERROR / max(len(pairs) * len(compared), 1)  # Bonferroni
    limits = _Limits(compared, a.load.slo, tolerance, error, rounds)
    return Comparison(
        levels=[_compared(*pair, limits) for pair in pairs],
        only_in_a=sorted(_named(a).keys() - _named(b).keys()),
        only_in_b=sorted(_named(b).keys() - _named(a).keys()),
        notes=list(_notes(a, b)),
        tolerance=tolerance,
        confidence=1 - error,
    )


@dataclass(frozen=True)
class _Limits:
    metrics: Sequence[Metric]
    slo: Slo
    tolerance: float
    error: float
    rounds: int


def _compared(a: Runs, b: Runs, limits: _Limits) -> ComparedLevel:
    """A level that cannot be believed is compared in nothing, nor is a run."""
    changes: list[Change] = []
    not_compared: dict[str, str] = {}
    problems = [*_problems("A", a), *_problems("B", b)]
    for metric in () if problems else limits.metrics:
        found = _change(metric, _valid(a), _valid(b), limits)
        if isinstance(found, Change):
            changes.append(found)
        else:
            not_compared[metric.name] = found
    return ComparedLevel(a[0].kind, a[0].label, changes, not_compared, problems)


def _change(metric: Metric, a: Runs, b: Runs, limits: _Limits) -> Change | str:
    """Or why there is none."""
    of_a, of_b = (metric.statistic(each, limits.slo, limits.rounds) for each in (a, b))
    if of_a is None or of_b is None:
        return "too few values to tell"
    if metric.source(a[0]) != metric.source(b[0]):
        return f"A's is the {metric.source(a[0])}'s, B's the {metric.source(b[0])}'s"
    return change(metric, of_a, of_b, limits.tolerance, limits.error)


def _valid(runs: Runs) -> Runs:
    return [run for run in runs if run.valid]


def _problems(side: str, runs: Runs) -> Iterator[str]:
    """None as long as more than half of the runs are valid."""
    if 2 * len(_valid(runs)) > len(runs):
        return
    for run in runs:
        if not run.valid:
            of = f" in run {run.run}" if len(runs) > 1 else ""
            yield f"{side} is not valid{of}: {'; '.join(run.problems)}"


def _named(report: SavedReport) -> Mapping[str, Runs]:
    named: dict[str, list[SavedLevel]] = {}
    for level in report.levels:
        named.setdefault(f"{level.kind} {level.label}", []).append(level)
    return named


def _require_same_load(a: SavedReport, b: SavedReport, pairs: Sequence[tuple[Runs, Runs]]) -> None:
    differ = list(_differences(a, b, ("api",)))
    differ += _differences(a.load, b.load, SAME_LOAD)
    for one, other in pairs:
        differ += [
            f"level {one[0].label}: {each}" for each in _differences(one[0], other[0], SAME_LEVEL)
        ]
    if differ:
        raise InvalidRequest(f"the loads differ: {', '.join(differ)}")


def _notes(a: SavedReport, b: SavedReport) -> Iterator[str]:
    yield from _differences(a, b, ("headrace", "model", "machine"))
    yield from _differences(a.load, b.load, MAY_DIFFER)
    for each in _differences(a.load.slo, b.load.slo, ("latency_s", "tpot_s")):
        yield f"SLO: {each}; both are judged by A's"
    if a.load.goodput != b.load.goodput:
        yield "--goodput differs: both are judged by A's"


def _differences(a: object, b: object, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        of_a, of_b = getattr(a, name), getattr(b, name)
        if of_a != of_b:
            yield f"{name} {_text(of_a)} in A, {_text(of_b)} in B"


def _text(value: object) -> str:
    return ", ".join(map(str, value.values())) if isinstance(value, Mapping) else str(value)
