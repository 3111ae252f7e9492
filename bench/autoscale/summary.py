"""Rows of the report, and the targets that they are held against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from math import sqrt
from statistics import mean, stdev
from typing import Any

from bench.autoscale.contenders import ABLATIONS, KEDA, ORACLE, OURS, PEAK
from bench.autoscale.score import Score
from bench.target import Target

Row = Mapping[str, Any]

T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 10: 2.26, 20: 2.09, 30: 2.05}
"""Student's t by the number of values."""

JUDGED = ("step", "spike", "gamma-2", "gamma-5", "gamma-10", "azure")
FEWER_VIOLATIONS, MORE_WORKER_S = 0.7, 1.1
LOADS_UNBEATEN = 4


def summarise(load: str, cold_start_s: float, policy: str, scores: Sequence[Score]) -> Row:
    """Each figure as its mean, with the 95 % interval of the mean."""
    figures = [asdict(score) for score in scores]
    names = figures[0]
    return {
        "load": load,
        "cold_start_s": cold_start_s,
        "policy": policy,
        **{name: _spread([float(figure[name]) for figure in figures]) for name in names},
    }


def beats(other: Row, row: Row) -> bool:
    """Whether `other` attains more at no higher cost, in the same load with the same cold start."""
    if other["policy"] in (ORACLE, *ABLATIONS) or _place(other) != _place(row):
        return False
    cheap = other["worker_s"]["mean"] <= row["worker_s"]["mean"]
    return bool(cheap and other["attainment"]["mean"] > row["attainment"]["mean"])


def targets(rows: Sequence[Row]) -> list[Target]:
    """Those whose rows are there. The static peak is no scaler: it knows the fullest minute."""
    found = list(_beside_keda(rows))
    ours = [row for row in rows if row["policy"] == OURS]
    judged = [row for row in ours if row["load"] in JUDGED]
    for cold_start_s in sorted({row["cold_start_s"] for row in judged}):
        here = [row for row in judged if row["cold_start_s"] == cold_start_s]
        scalers = [row for row in rows if row["policy"] != PEAK]
        for who, others in (("nobody", rows), ("no scaler", scalers)):
            unbeaten = sum(not any(beats(other, row) for other in others) for row in here)
            name = f"of {len(here)} loads, on which {who} beats ours, cold start {cold_start_s:g} s"
            found.append(Target(name, unbeaten, at_least=LOADS_UNBEATEN))
    return found


def laws(rows: Sequence[Row]) -> list[Target]:
    """What ours may never do, whatever it attains."""
    ours = [row for row in rows if row["policy"] == OURS]
    found = []
    if ours:
        kills = sum(row["busy_kills"]["mean"] for row in ours)
        found.append(Target("busy kills of ours", kills, at_most=0))
    for row in ours:
        if row["load"] == "constant":
            name = f"reversals, constant, cold start {row['cold_start_s']:g} s"
            found.append(Target(name, row["reversals"]["mean"], at_most=0))
    return found


def _beside_keda(rows: Sequence[Row]) -> Iterator[Target]:
    by_key = {(*_place(row), row["policy"]): row for row in rows}
    for row in rows:
        keda = by_key.get((*_place(row), KEDA))
        if row["policy"] != OURS or row["load"] not in JUDGED or keda is None:
            continue
        where = f"{row['load']}, cold start {row['cold_start_s']:g} s"
        violations = _ratio(row, keda, "slo_violation_s")
        yield Target(f"violation s / KEDA's, {where}", violations, at_most=FEWER_VIOLATIONS)
        cost = _ratio(row, keda, "worker_s")
        yield Target(f"worker s / KEDA's, {where}", cost, at_most=MORE_WORKER_S)


def _ratio(row: Row, other: Row, name: str) -> float:
    below = other[name]["mean"]
    return round(row[name]["mean"] / below, 3) if below else float(row[name]["mean"] > 0)


def _place(row: Row) -> tuple[str, float]:
    return row["load"], row["cold_start_s"]


def _spread(values: Sequence[float]) -> dict[str, Any]:
    if len(values) < 2:
        return {"mean": values[0], "interval": None}
    middle = mean(values)
    t = T_95[max(count for count in T_95 if count <= len(values))]
    half = t * stdev(values) / sqrt(len(values))
    return {
        "mean": round(middle, 4),
        "interval": [round(middle - half, 4), round(middle + half, 4)],
    }
