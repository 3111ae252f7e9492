"""What the runs of the engine benchmark say: ratios with intervals, a table, shares of limits."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.engine_contender import Batch
from bench.engine_crew import OURS, VLLM
from bench.engine_fidelity import Fidelity
from bench.machine_limits import MachineLimits
from bench.pairs import interval
from bench.rounds import ratio
from bench.target import Target

SLACK = 0.05
"""A claim holds where the near end of its interval is within 5 points of it."""

SLOTS = 32
ROWS = (1, 8, SLOTS)
"""How many equal requests at once engines are compared at."""


@dataclass(frozen=True)
class Comparison:
    """Tokens a second of `upper` by those of the best of `lowers`."""

    upper: str
    lowers: tuple[str, ...]
    workload: str = "equal"
    concurrency: int = SLOTS


def _at_all_rows(name: str, upper: str, lowers: tuple[str, ...]) -> dict[str, Comparison]:
    return {f"{name}_{rows}a": Comparison(upper, lowers, concurrency=rows) for rows in ROWS}


COMPARISONS = {
    **_at_all_rows("openvino_vs_bare", "openvino", ("openvino_bare",)),
    "openvino_vs_bare_32b": Comparison("openvino", ("openvino_bare",), "mixed"),
    **_at_all_rows("openvino_vs_vllm", "openvino", VLLM),
    **_at_all_rows("openvino_vs_llamacpp", "openvino", ("llama_cpp",)),
    **_at_all_rows("torch_vs_vllm", "torch", VLLM),
    "torch_vs_generate_batch_32a": Comparison("torch", ("generate_batch",)),
    "torch_vs_static_32a": Comparison("torch", ("static",)),
    "torch_vs_static_32b": Comparison("torch", ("static",), "mixed"),
}

AT_LEAST = {
    **{f"openvino_vs_bare_{where}": 0.95 for where in ("1a", "8a", "32a", "32b")},
    "torch_vs_generate_batch_32a": 3.0,
    "torch_vs_static_32a": 1.2,
    "torch_vs_static_32b": 2.0,
    "occupancy_32b": 0.9,
}
AT_MOST = {"decode_vs_matmul_32": 2.0, "itl_p95_ratio_c": 3.0}
AHEAD = (
    *(f"openvino_vs_vllm_{rows}a" for rows in ROWS),
    *(f"openvino_vs_llamacpp_{rows}a" for rows in ROWS[1:]),
)
"""Ratios whose whole interval has to lie above 1."""

ABOVE_ONE = 1.001
"""The next number after 1 in a report of three places."""


@dataclass(frozen=True)
class Race:
    """Results of contenders that ran side by side, in order of the rounds."""

    workload: str
    concurrency: int
    runs: Mapping[str, list[Batch]]


@dataclass(frozen=True)
class Gaps:
    """Seconds between tokens of decoding rows: the median before a long prompt, p95 while it is
    read."""

    before_s: float
    during_p95_s: float
    during_most_s: float

    @property
    def ratio(self) -> float:
        return self.during_p95_s / self.before_s


@dataclass
class Findings:
    """Everything measured, in order of the rounds.

    `levels` are the runs of the table that were no race, by contender, workload and concurrency.
    """

    races: list[Race] = field(default_factory=list)
    levels: dict[tuple[str, str, int], list[Batch]] = field(default_factory=dict)
    gaps: dict[str, list[Gaps]] = field(default_factory=dict)
    decode_s: list[float] = field(default_factory=list)
    products_s: list[float] = field(default_factory=list)
    decode_profile_ms: dict[str, float] = field(default_factory=dict)

    def runs(self, name: str, workload: str, concurrency: int) -> list[Batch]:
        found = list(self.levels.get((name, workload, concurrency), ()))
        for race in self.races:
            if (race.workload, race.concurrency) == (workload, concurrency):
                found += race.runs.get(name, [])
        return found

    def beaten(self, names: Sequence[str]) -> set[str]:
        """Those of `names` that the best of them left behind at 32 equal requests."""
        medians = {
            name: statistics.median(_rates(runs))
            for name in names
            if (runs := self.runs(name, "equal", SLOTS))
        }
        return set(medians) - {max(medians, key=lambda name: medians[name])} if medians else set()


@dataclass
class Comparisons:
    """`ratios` with their 95 % intervals; `best` names the one of several that a ratio is against;
    `withheld` says why a ratio is not given: engines must compute the same model."""

    ratios: dict[str, Any] = field(default_factory=dict)
    best: dict[str, str] = field(default_factory=dict)
    withheld: dict[str, str] = field(default_factory=dict)


def compare(findings: Findings, fidelity: Fidelity) -> Comparisons:
    """Those whose two sides took part in one race."""
    found = Comparisons()
    for name, comparison in COMPARISONS.items():
        for race in findings.races:
            if (race.workload, race.concurrency) == (comparison.workload, comparison.concurrency):
                _compare(name, comparison, race.runs, fidelity, found)
    return found


def _compare(
    name: str,
    comparison: Comparison,
    runs: Mapping[str, list[Batch]],
    fidelity: Fidelity,
    found: Comparisons,
) -> None:
    objections = {
        lower: fidelity.objection(comparison.upper, lower)
        for lower in comparison.lowers
        if lower in runs and comparison.upper in runs
    }
    alike = [lower for lower, objection in objections.items() if objection is None]
    if alike:
        best = max(alike, key=lambda lower: statistics.median(_rates(runs[lower])))
        found.ratios |= ratio(name, _rates(runs[comparison.upper]), _rates(runs[best]))
        if len(comparison.lowers) > 1:
            found.best[name] = best
    elif objections:
        found.withheld[name] = "; ".join(sorted({str(text) for text in objections.values()}))


def own_figures(findings: Findings) -> dict[str, Any]:
    """Figures of the torch engine alone, each with its 95 % interval."""
    report: dict[str, Any] = {}
    if occupancies := _occupancies(findings, "torch"):
        report |= figure("occupancy_32b", occupancies)
    if findings.decode_s:
        report |= ratio("decode_vs_matmul_32", findings.decode_s, findings.products_s)
    if gaps := findings.gaps.get("torch"):
        report |= figure("itl_p95_ratio_c", [each.ratio for each in gaps])
    return report


def figure(name: str, values: Sequence[float]) -> dict[str, Any]:
    """The median over the rounds as `name`, with its 95 % interval."""
    low, high = interval(values)
    return {
        name: round(statistics.median(values), 3),
        f"{name}_interval": [round(low, 3), round(high, 3)],
    }


def table(findings: Findings, names: Sequence[str], levels: Sequence[int]) -> dict[str, Any]:
    """Median tokens a second by workload, contender and concurrency."""
    return {
        workload: {
            name: {
                str(level): round(statistics.median(_rates(runs)), 1)
                for level in levels
                if (runs := findings.runs(name, workload, level))
            }
            for name in names
        }
        for workload in ("equal", "mixed")
    }


def details(findings: Findings) -> dict[str, Any]:
    """The figures behind those ratios that are not of tokens a second."""
    report: dict[str, Any] = {
        "interrupted": {
            name: figure("ratio", [each.ratio for each in gaps])
            | {
                f"{key[:-2]}_ms": round(_median([asdict(each)[key] for each in gaps]) * 1000, 1)
                for key in asdict(gaps[0])
            }
            for name, gaps in findings.gaps.items()
        },
        "occupancy": {
            name: figure("occupancy_32b", values)
            for name in (*OURS, "openvino_bare")
            if (values := _occupancies(findings, name))
        },
    }
    if findings.decode_s:
        report["torch_decode_step_ms"] = round(_median(findings.decode_s) * 1000, 2)
        report["torch_products_ms"] = round(_median(findings.products_s) * 1000, 2)
        report["torch_decode_profile_ms"] = dict(findings.decode_profile_ms)
    return report


def shares(
    findings: Findings,
    limits: MachineLimits,
    parameters: int,
    weight_bytes: Mapping[str, int],
) -> dict[str, Any]:
    """How much of the machine each contender uses at 32 equal requests.

    Of the bf16 limit: two operations a parameter for every token read or written. Of the memory:
    all weights once a step, where the steps are known.
    """
    report = {}
    for name, size in weight_bytes.items():
        runs = findings.runs(name, "equal", SLOTS)
        if not runs:
            continue
        tokens = _median([(run.prompt_tokens + run.output_tokens) / run.seconds for run in runs])
        steps = [run.steps / run.seconds for run in runs if run.steps]
        report[name] = {
            "of_bf16": round(2 * parameters * tokens / limits.bf16_gflops / 1e9, 3),
            "of_memory": round(size * _median(steps) / limits.read_gb_s / 1e9, 3)
            if steps
            else None,
        }
    return report


def targets(report: Mapping[str, Any]) -> list[Target]:
    """Two a ratio: its median, and the near end of its interval. One that is withheld is missed."""
    found = report["ratios"]
    reached = []
    for name, bound in AT_LEAST.items():
        if name in found:
            low = found[f"{name}_interval"][0]
            reached.append(Target(name, found[name], at_least=bound))
            reached.append(Target(f"{name}, lower end", low, at_least=round(bound - SLACK, 3)))
    for name, bound in AT_MOST.items():
        if name in found:
            high = found[f"{name}_interval"][1]
            reached.append(Target(name, found[name], at_most=bound))
            reached.append(Target(f"{name}, upper end", high, at_most=round(bound + SLACK, 3)))
    for name in AHEAD:
        if name in found:
            low = found[f"{name}_interval"][0]
            reached.append(Target(f"{name}, lower end", low, at_least=ABOVE_ONE))
    if report["withheld"]:
        reached.append(Target("ratios withheld", len(report["withheld"]), at_most=0))
    return reached


def _occupancies(findings: Findings, name: str) -> list[float]:
    runs = findings.runs(name, "mixed", SLOTS)
    return [run.occupancy for run in runs if run.occupancy is not None]


def _rates(runs: Sequence[Batch]) -> list[float]:
    return [run.tokens_per_s for run in runs]


def _median(values: Sequence[float]) -> float:
    return float(statistics.median(values))
