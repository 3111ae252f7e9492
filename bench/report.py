"""How the benchmarks of the queue hand in what they found: a file, a printout, an exit code."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Sequence
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
    report: dict[str, Any],
    judge: Callable[[dict[str, Any]], Sequence[Target]],
    arguments: argparse.Namespace,
) -> None:
    """What was measured is saved before it is judged, so that no judgement can lose it."""
    save(report, arguments.json)
    targets = judge(report)
    report = report | {"targets": [target.encode() for target in targets]}
    save(report, arguments.json)
    Console().print_json(data=report)
    show(Console(stderr=True), targets)
    if arguments.insists and not all(target.is_met for target in targets):
        sys.exit(1)


def no_targets(report: dict[str, Any]) -> Sequence[Target]:
    """Judges what nobody has set a target for."""
    return ()


def save(report: dict[str, Any], path: Path) -> None:
    """Writes what there is so far, in place of what the file had."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(encode(report))


def command_line(module: str, arguments: argparse.Namespace) -> str:
    """The command that measures, without its folders and files, which are this machine's."""
    paths = {value for value in vars(arguments).values() if isinstance(value, Path)}
    words = [word for part in sys.argv[1:] for word in part.split("=", 1)]
    hidden = {place for place, word in enumerate(words) if Path(word) in paths}
    hidden |= {place - 1 for place in hidden}
    kept = [word for place, word in enumerate(words) if place not in hidden]
    return shlex.join(["python", "-m", module, *kept])


def encode(report: dict[str, Any]) -> str:
    """Indented, but a row of `rows` is a line: a large table stays one that can be read."""
    rows = report.get("rows", [])
    marks = [f"row {number}" for number in range(len(rows))]
    text = json.dumps({**report, "rows": marks} if rows else report, indent=2)
    for mark, row in zip(marks, rows, strict=True):
        text = text.replace(f'"{mark}"', json.dumps(row), 1)
    return text + "\n"
