"""Kills, stops, starves and cuts off what keeps the promise, and checks that it is kept.

    python -m tests.chaos [--faults 1,3] [--seeds 5] [--json PATH]

Every fault runs with seeds 1, 2, … up to CHAOS_SEEDS (5). Prints a Markdown table. Exits with 1
when a job was lost, was finished twice or contradicted itself, or a bound did not hold.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import structlog
from rich.console import Console
from rich.progress import Progress, TaskID

from tests.chaos.catalogue import all_faults, faults
from tests.chaos.fault import Fault
from tests.chaos.report import as_json, markdown
from tests.chaos.row import Row
from tests.chaos.run import Run, run_fault

RESULTS = Path(__file__).parents[2] / "bench" / "results" / "chaos.json"


def main() -> None:
    _forget_settings_of_the_developer()
    arguments = _parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # The harness buries workers on purpose; their own logs go elsewhere.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began, chosen = time.monotonic(), faults(arguments.faults)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=sum(_seeds(fault, arguments.seeds) for fault in chosen))
        rows = [run_all(fault, arguments.seeds, progress, task) for fault in chosen]
    print(markdown(rows))
    _say_what_broke(rows)
    if path := arguments.json or (None if arguments.faults else RESULTS):
        report = as_json(rows, arguments.seeds, time.monotonic() - began)
        path.write_text(json.dumps(report, indent=2) + "\n")
    sys.exit(not all(row.held for row in rows))


def run_all(fault: Fault, seeds: int, progress: Progress, task: TaskID) -> Row:
    runs: list[Run] = []
    for seed in range(1, _seeds(fault, seeds) + 1):
        progress.update(task, description=f"{fault.number} {fault.name}, seed {seed}")
        runs.append(run_fault(fault, seed))
        progress.console.print(_line(runs[-1]), highlight=False, soft_wrap=True)
        progress.advance(task)
    return Row.of(fault, runs)


def _seeds(fault: Fault, seeds: int) -> int:
    return min(seeds, fault.most_seeds)


def _line(run: Run) -> str:
    what = "; ".join(run.broken) or "held"
    name = f"{run.fault.number} {run.fault.name}, seed {run.seed}"
    return f"{name}: {run.verdict.jobs} jobs in {run.seconds:.0f} s, {what}"


def _say_what_broke(rows: Sequence[Row]) -> None:
    for row in rows:
        for text in row.broken:
            print(f"{row.fault.number} {row.fault.name}: {text}", file=sys.stderr)


def _forget_settings_of_the_developer() -> None:
    """Each fault names the settings that it wants."""
    for variable in [name for name in os.environ if name.startswith("HEADRACE_")]:
        del os.environ[variable]
    os.environ.pop("REDIS_URL", None)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--faults", type=_numbers, default=(), help="rows of the matrix, as 1,3")
    parser.add_argument(
        "--seeds", type=_count, default=os.environ.get("CHAOS_SEEDS", "5"), help="seeds a fault"
    )
    parser.add_argument(
        "--json", type=Path, help="where the results go; all faults: bench/results/chaos.json"
    )
    return parser.parse_args()


def _count(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least one seed is needed")
    return number


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in text.split(","))
    known = {fault.number for fault in all_faults()}
    if unknown := set(numbers) - known:
        raise argparse.ArgumentTypeError(f"no fault {unknown}; there are {sorted(known)}")
    return numbers


if __name__ == "__main__":
    main()
