"""How well `headrace capacity` knows rates that it has not seen.

    python -m bench.capacity [--engine auto] [--json bench/results/capacity.json] [OPTION ...]

Starts `headrace up` with one worker and runs the command itself, with its defaults, but for options
of the command that stand behind ours: the report is its own. Predicted / measured - 1 of the p95
and of the tokens/s, median of three tries a rate.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.prepared import add_models, link_models
from bench.report import hand_in, make_parser
from bench.target import Target
from bench.up import Up

STEP_S = {"ALPHA": "0.01", "BETA": "0.001", "GAMMA": "0.0001"}
"""Of the simulated engine."""

MOST_OFF = 0.15


def main() -> None:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), arguments)
    hand_in(report, targets, arguments)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    state, path = folder / "state", folder / "capacity.json"
    state.mkdir()
    link_models(state, arguments.models)
    steps = {f"HEADRACE_SIMULATED_{part}_S": seconds for part, seconds in STEP_S.items()}
    with Up(state, HEADRACE_ENGINE=arguments.engine, **steps) as up:
        command = [sys.executable, "-m", "headrace", "capacity", "--url", up.url]
        command += ["--json", str(path), *arguments.options]
        subprocess.run(command, stdout=sys.stderr, check=True)
    return {"engine": arguments.engine, **json.loads(path.read_text())}


def targets(report: Mapping[str, Any]) -> list[Target]:
    return [
        Target(
            f"{name} off at the most, {report['engine']}", _most(report, field), at_most=MOST_OFF
        )
        for name, field in (("p95", "p95_error"), ("tokens/s", "tokens_error"))
    ]


def _most(report: Mapping[str, Any], field: str) -> float:
    return max(abs(float(prediction[field])) for prediction in report["predictions"])


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.capacity", __doc__)
    parser.add_argument("--engine", default="auto", help="HEADRACE_ENGINE (default auto)")
    add_models(parser)
    arguments, options = parser.parse_known_args()
    return argparse.Namespace(**vars(arguments), options=options)


if __name__ == "__main__":
    main()
