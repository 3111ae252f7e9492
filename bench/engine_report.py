"""What the runs of the engine benchmark say: ratios with intervals, a table, shares of limits."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.engine_contender import Batch
from bench.engine_crew import OURS
from bench.machine_limits import MachineLimits
from bench.pairs import interval
from bench.rounds import ratio
from bench.target import Target

SLACK = 0.05
"""A claim holds where the near end of its interval is within 5 points of it."""

SLOTS = 32
RACES = {
    "openvino_vs_bare_32b": ("openvino", "openvino_bare", "mixed"),
    "openvino_vs_llamacpp_32a": ("openvino", "llama_cpp", "equal"),
    "torch_vs_generate_batch_32a": ("torch", "generate_batch", "equal"),
    "torch_vs_static_32a": ("torch", "static", "equal"),
    "torch_vs_static_32b": ("torch", "static", "mixed"),
}
"""Ratios of tokens a second: who is above, who below, and what both run."""

AT_LEAST = {
    "openvino_vs_bare_32b": 0.95,
    "openvino_vs_llamacpp_32a": 2.5,
    "torch_vs_generate_batch_32a": 3.0,
    "torch_vs_static_32a": 1.2,
    "torch_vs_static_32b": 2.0,
    "occupancy_32b": 0.9,
}
AT_MOST = {"decode_vs_matmul_32": 2.0, "itl_p95_ratio_c": 3.0}


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

    `races` are runs at 32 by workload and contender, in groups whose runs stand side by side;
    `levels` are the other runs of the table, by contender, workload and concurrency.
    """

    races: list[tuple[str, dict[str, list[Batch]]]] = field(default_factory=list)
    levels: dict[tuple[str, str, int], list[Batch]] = field(default_factory=dict)
    gaps: dict[str, list[Gaps]] = field(default_factory=dict)
    decode_s: list[float] = field(default_factory=list)
    products_s: list[float] = field(default_factory=list)
    decode_profile_ms: dict[str, float] = field(default_factory=dict)

    def runs(self, name: str, workload: str, concurrency: int) -> list[Batch]:
        found = list(self.levels.get((name, workload, concurrency), ()))
        if concurrency == SLOTS:
            for raced, runs in self.races:
                found += runs.get(name, []) if raced == workload else []
        return found


def ratios(findings: Findings) -> dict[str, Any]:
    """Those whose two sides took part, each with its 95 % interval."""
    report: dict[str, Any] = {}
    for name, (upper, lower, workload) in RACES.items():
        for raced, runs in findings.races:
            if raced == workload and upper in runs and lower in runs:
                report |= ratio(name, _rates(runs[upper]), _rates(runs[lower]))
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
    """Two a ratio: its median, and the near end of its interval."""
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
    return reached


def _occupancies(findings: Findings, name: str) -> list[float]:
    runs = findings.runs(name, "mixed", SLOTS)
    return [run.occupancy for run in runs if run.occupancy is not None]


def _rates(runs: Sequence[Batch]) -> list[float]:
    return [run.tokens_per_s for run in runs]


def _median(values: Sequence[float]) -> float:
    return float(statistics.median(values))
