"""How often `headrace loadtest compare` is right about two deployments.

    python -m bench.compare [--pairs 20] [--json bench/results/compare.json]

Two deployments with the simulated engine are up at once, one of them with steps that take a fifth
longer; only one is under load at a time. A round is three load tests by the command itself: two of
the fast deployment, which are to be called equal, and one of the slow, which is to be called slower
than the fast one beside it. Whether the slow one comes first or last alternates, since the speed of
a shared machine drifts. What is not valid, or cannot be told, counts as wrong.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.progress import track

from bench.pairs import console
from bench.prepared import add_models, link_models
from bench.report import hand_in, make_parser
from bench.target import Target
from bench.up import Up
from headrace.core.machine import machine
from headrace.loadtest.comparison import Comparison, compare
from headrace.loadtest.saved import SavedReport, read_report

LEVELS = "4,12"
MAX_TOKENS = 16
WARM_UP_S = 1
STEP_S = {"ALPHA": 0.011, "BETA": 0.0004, "GAMMA": 0.00004}
SLOWDOWN = 1.2
RIGHT = 0.95


def main() -> None:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), arguments)
    hand_in(report, targets, arguments)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    states = [folder / "fast", folder / "slow"]
    for state in states:
        state.mkdir()
        link_models(state, arguments.models)
    with Up(states[0], **_engine(1.0)) as fast, Up(states[1], **_engine(SLOWDOWN)) as slow:
        rounds = [
            measure_round(fast, slow, folder, number, arguments.seconds)
            for number in track(range(arguments.pairs), "pairs", console=console)
        ]
    return {
        "equal_runs": _summary([equal for equal, _slower in rounds]),
        "slowdowns": _summary([slower for _equal, slower in rounds]),
        "slowdown": SLOWDOWN,
        "pairs": arguments.pairs,
        "levels": LEVELS,
        "max_tokens": MAX_TOKENS,
        "seconds_a_level": arguments.seconds,
        "warm_up_s": WARM_UP_S,
        "engine_s": {name.lower(): seconds for name, seconds in STEP_S.items()},
        "machine": machine(),
    }


def targets(report: Mapping[str, Any]) -> list[Target]:
    pairs = report["pairs"]
    equal = report["equal_runs"]["verdicts"].get("equal", 0) / pairs
    slower = report["slowdowns"]["verdicts"].get("slower", 0) / pairs
    return [
        Target("equal runs called equal", equal, at_least=RIGHT),
        Target("slowdowns found", slower, at_least=RIGHT),
    ]


def measure_round(
    fast: Up, slow: Up, folder: Path, number: int, seconds: float
) -> tuple[Comparison, Comparison]:
    """Compares two equal runs, and a fast one with a slow one."""
    order = [fast, fast, slow] if number % 2 == 0 else [slow, fast, fast]
    reports = [
        load_test(up, folder / "report.json", 3 * number + place, seconds)
        for place, up in enumerate(order)
    ]
    other, beside, slowed = reports if number % 2 == 0 else reversed(reports)
    return compare(other, beside), compare(beside, slowed)


def load_test(up: Up, path: Path, seed: int, seconds: float) -> SavedReport:
    """By the command, with prompts that were never sent before."""
    command = [sys.executable, "-m", "headrace", "loadtest", "--url", up.url]
    command += ["--concurrency", LEVELS, "--duration", str(seconds), "--warmup", str(WARM_UP_S)]
    command += ["--max-tokens", str(MAX_TOKENS), "--seed", str(seed), "--json", str(path)]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return read_report(path)


def _summary(comparisons: list[Comparison]) -> dict[str, Any]:
    changes = [change for each in comparisons for level in each.levels for change in level.changes]
    return {
        "verdicts": dict(Counter(each.verdict for each in comparisons)),
        "metrics": {
            metric: dict(Counter(each.status for each in changes if each.metric == metric))
            for metric in dict.fromkeys(change.metric for change in changes)
        },
        "problems": [
            problem for each in comparisons for level in each.levels for problem in level.problems
        ],
    }


def _engine(slowdown: float) -> dict[str, str]:
    steps = {f"HEADRACE_SIMULATED_{part}_S": str(s * slowdown) for part, s in STEP_S.items()}
    return {"HEADRACE_ENGINE": "simulated", **steps}


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.compare", __doc__)
    parser.add_argument("--pairs", type=int, default=20, help="rounds (default 20)")
    parser.add_argument("--seconds", type=float, default=8, help="of a level (default 8)")
    add_models(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
