"""Figures of one engine from the runs of the service benchmark, and its targets."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.rounds import ratio
from bench.service_sides import Run
from bench.target import Target
from headrace.loadtest.quantiles import percentile

SLOTS = 32
"""The number of users that targets are about: as many as an engine has slots."""

LEAST_RATIO = {"openvino": 0.82, "torch": 0.93}
MOST_API_MS = 0.15

Pairs = Sequence[tuple[Run, Run]]
"""Runs through the service, each with the direct one beside it."""


def engine_report(found: Mapping[int, Pairs]) -> dict[str, Any]:
    """Figures by number of users; those that nobody has measured yet are absent."""
    levels = {users: pairs for users, pairs in found.items() if pairs}
    service = {users: [one for one, _other in pairs] for users, pairs in levels.items()}
    direct = {users: [other for _one, other in pairs] for users, pairs in levels.items()}
    report: dict[str, Any] = {}
    for users in levels:
        report |= ratio(f"ratio_{users}", _rates(service[users]), _rates(direct[users]))
    cpu_ms = cpu_ms_per_token(service)
    if SLOTS in levels:
        report["api_cpu_ms_per_token"] = cpu_ms["api"][str(SLOTS)]
    sides = {"service": service, "direct": direct}
    return {
        **report,
        "cpu_ms_per_token": cpu_ms,
        "direct_cpu_ms_per_token": cpu_ms_per_token(direct),
        "tokens_per_s": {name: _medians(runs) for name, runs in sides.items()},
        **{
            f"ttft_p{percent}_ms": {
                name: first_token_ms(runs, percent) for name, runs in sides.items()
            }
            for percent in (50, 95)
        },
        "idle_cores": {
            "direct, beside the service": _idle_cores(service),
            "service, beside the direct engine": _idle_cores(direct),
        },
        "runs_tokens_per_s": {
            str(users): [[round(run.tokens_per_s, 1) for run in pair] for pair in pairs]
            for users, pairs in levels.items()
        },
    }


def cpu_ms_per_token(runs: Mapping[int, Sequence[Run]]) -> dict[str, dict[str, float]]:
    """Sums by role and number of users, over all runs: one is short for the ticks of the clock."""
    roles = dict.fromkeys(role for each in runs.values() for run in each for role in run.cpu_s)
    return {
        role: {
            str(users): round(
                1000 * sum(run.cpu_s.get(role, 0.0) for run in each) / _tokens(each), 4
            )
            for users, each in runs.items()
        }
        for role in roles
    }


def first_token_ms(runs: Mapping[int, Sequence[Run]], percent: int) -> dict[str, float]:
    """A percentile over all requests, by number of users; without those that no request has."""
    seconds = {
        users: sorted(each for run in runs_of for each in run.first_token_s)
        for users, runs_of in runs.items()
    }
    return {
        str(users): round(1000 * percentile(values, percent), 1)
        for users, values in seconds.items()
        if values
    }


def targets(engines: Mapping[str, Mapping[str, Any]]) -> list[Target]:
    """Those of the engines and numbers of users that were measured."""
    found = []
    for name, report in engines.items():
        ratio_name = f"ratio_{SLOTS}"
        if name in LEAST_RATIO and ratio_name in report:
            bound = LEAST_RATIO[name]
            found.append(Target(f"{ratio_name} {name}", report[ratio_name], at_least=bound))
        if "api_cpu_ms_per_token" in report:
            spent = report["api_cpu_ms_per_token"]
            found.append(Target(f"api_cpu_ms_per_token {name}", spent, at_most=MOST_API_MS))
    return found


def _rates(runs: Iterable[Run]) -> list[float]:
    return [run.tokens_per_s for run in runs]


def _medians(runs: Mapping[int, Sequence[Run]]) -> dict[str, float]:
    return {str(users): round(statistics.median(_rates(each)), 1) for users, each in runs.items()}


def _tokens(runs: Iterable[Run]) -> float:
    return sum(run.tokens for run in runs)


def _idle_cores(runs: Mapping[int, Sequence[Run]]) -> float:
    """Cores that a side used while the other one was measured."""
    every = [run for each in runs.values() for run in each]
    seconds = sum(run.seconds for run in every)
    return round(sum(run.idle_cpu_s for run in every) / seconds, 4) if seconds else 0.0
