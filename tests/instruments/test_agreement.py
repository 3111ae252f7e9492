"""Other people's load testers run unmodified, and measure what `headrace loadtest` measures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from bench.machine_conditions import machine_conditions
from bench.report import save
from bench.target import Target
from tests.instruments.figures import Figures, Load
from tests.instruments.idleness import Idleness
from tests.instruments.tools import TOOLS, Site, loadtest

OURS = "headrace loadtest"
TOLERANCE = 0.05
LEAST_IDLE = 0.5
"""Share of the CPUs that load, load tester and deployment leave idle."""

LOADS = (Load(1, 5, 64, 6), Load(8, 64, 64, 6))


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest) -> dict[str, Any]:
    """All loads' figures, written where `--report` says."""
    kept: dict[str, Any] = {"conditions": machine_conditions(), "rows": [], "targets": []}
    kept["rounds"] = request.config.getoption("--rounds")
    if path := request.config.getoption("--report"):
        request.addfinalizer(lambda: save(kept, path))
    return kept


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("load", LOADS, ids=[f"users-{load.users}" for load in LOADS])
def test_they_agree_with_our_load_tester(
    request: pytest.FixtureRequest,
    site: Site,
    load: Load,
    report: dict[str, Any],
    tmp_path: Path,
) -> None:
    """All run in turn, in another order each time; medians of their runs are compared."""
    runs: dict[str, list[Figures]] = defaultdict(list)
    idle, rounds = [], request.config.getoption("--rounds")
    for number in range(rounds):
        names = [OURS, *TOOLS]
        for name in names[number:] + names[:number]:
            folder = tmp_path / f"{number} {name}"
            folder.mkdir()
            idleness = Idleness()
            runs[name].append(TOOLS.get(name, loadtest)(site, load, folder))
            if name == OURS:
                idle.append(idleness.share())
    found = {name: Figures.medians(figures) for name, figures in runs.items()}
    targets = _targets(load, found, median(idle))
    report["rows"] += [asdict(load) | {"tool": name} | asdict(found[name]) for name in found]
    report["targets"] += [target.encode() for target in targets]
    assert [target.line for target in targets if not target.is_met] == []


def _targets(load: Load, found: Mapping[str, Figures], idle: float) -> list[Target]:
    place = f"{load.users} users"
    differences = [
        Target(f"{place}, {name}: {figure} off by", round(abs(share), 4), at_most=TOLERANCE)
        for name in TOOLS
        for figure, share in found[name].off(found[OURS]).items()
    ]
    return [Target(f"{place}: idle CPUs", round(idle, 3), at_least=LEAST_IDLE), *differences]
