"""How the benchmarks of the queue hand in what they found: a file, a printout, an exit code."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.target import Target, show

RESULTS = Path(__file__).parent / "results"


def make_parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all of them have; `module` is `bench.NAME`."""
    name = module.rpartition(".")[2]
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--json", type=Path, default=RESULTS / f"{name}.json", help="where the result goes"
    )
    parser.add_argument(
        "--assert", dest="insists", action="store_true", help="exit with 1 where a target is missed"
    )
    return parser


def hand_in(
    report: dict[str, Any], targets: Sequence[Target], arguments: argparse.Namespace
) -> None:
    report = report | {"targets": [target.encode() for target in targets]}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(encode(report))
    Console().print_json(data=report)
    show(Console(stderr=True), targets)
    if arguments.insists and not all(target.is_met for target in targets):
        sys.exit(1)


def encode(report: dict[str, Any]) -> str:
    """Indented, but a row of `rows` is a line: a large table stays one that can be read."""
    rows = report.get("rows", [])
    marks = [f"row {number}" for number in range(len(rows))]
    text = json.dumps({**report, "rows": marks} if rows else report, indent=2)
    for mark, row in zip(marks, rows, strict=True):
        text = text.replace(f'"{mark}"', json.dumps(row), 1)
    return text + "\n"
