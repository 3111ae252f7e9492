"""Scaling policies on a simulated fleet, beside those that others use.

    python -m bench.autoscale [--seeds 30] [--policies NAME ...] [--loads NAME ...] [--trace FILE]

Workers have the step curve that `bench.engine` measured, start cold, drain from the top; ours is
`scaler.policy` itself. All policies meet the same requests, cold starts and faults (a seed each).
Loads run with cold starts of 5, 30 and 120 s; ours without each of its parts with 30 s alone.
`--trace` adds a file with the columns TIMESTAMP, ContextTokens and GeneratedTokens.

Good is a request that ended within `slo_latency_s` + output tokens x `slo_tpot_s`; those that would
be late on a worker of their own are not counted. A second in which one was accepted that
turned out bad is a second of violation. Rows are means over the seeds with 95 % intervals. Whoever
kills a busy worker, or turns around on constant load, has broken a law: the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.autoscale.contenders import ABLATIONS, POLICIES
from bench.autoscale.course import make_course
from bench.autoscale.fixed import workers_at_first
from bench.autoscale.loads import LOADS, Load, load_of_file
from bench.autoscale.machine import Fitted, fit_machine
from bench.autoscale.score import Score, score
from bench.autoscale.summary import beats, laws, summarise, targets
from bench.environments import Environments
from bench.report import RESULTS, hand_in, make_parser, save
from headrace.planning.simulator import simulate

COLD_STARTS_S = (5.0, 30.0, 120.0)
ABLATION_COLD_START_S = 30.0
console = Console(stderr=True)

Cell = tuple[Load, float, str]
"""A load, a cold start and the name of a policy."""


def main() -> None:
    arguments = _parse()
    machine = fit_machine(arguments.engine)
    console.print(f"step of a worker: {machine.encode()}", highlight=False)
    report = measure(machine, arguments)
    save(report, arguments.json)
    show(report["rows"])
    if arguments.plot is not None:
        draw(report, arguments.plot)
    hand_in(report, lambda found: [*laws(found["rows"]), *targets(found["rows"])], arguments)
    if not all(law.is_met for law in laws(report["rows"])):
        sys.exit(1)


def measure(machine: Fitted, arguments: argparse.Namespace) -> dict[str, Any]:
    loads = [LOADS[name] for name in arguments.loads or LOADS]
    loads += [load_of_file(file) for file in arguments.trace]
    cells = list(_cells(loads, arguments.policies or list(POLICIES), bool(arguments.policies)))
    rows = []
    with ProcessPoolExecutor(arguments.processes) as pool, Progress(console=console) as progress:
        task = progress.add_task("runs", total=len(cells) * arguments.seeds)
        count = len(cells)
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        each = [machine] * count, cells, [seeds] * count
        for cell, scores in zip(cells, pool.map(run, *each), strict=True):
            load, cold_start_s, policy = cell
            rows.append(summarise(load.name, cold_start_s, policy, scores))
            progress.advance(task, arguments.seeds)
    return {"machine": machine.encode(), "seeds": arguments.seeds, "rows": rows}


def run(machine: Fitted, cell: Cell, seeds: Sequence[int]) -> list[Score]:
    load, cold_start_s, policy = cell
    scores = []
    for seed in seeds:
        trace = load.draw(machine, seed)
        first = workers_at_first(trace, machine)
        course = make_course(machine, cold_start_s, first, seed, load.outage, load.crashes)
        scaler = POLICIES[policy](trace, machine, cold_start_s)
        scores.append(score(simulate(trace, scaler, course), machine))
    return scores


def draw(report: Mapping[str, Any], file: Path) -> None:
    """In an environment of its own: the project needs no matplotlib."""
    script = Path(__file__).with_name("plot.py")
    with tempfile.TemporaryDirectory() as folder:
        python = Environments(Path(folder), console.log).python("plot")
        command = [str(python), str(script), str(file.absolute())]
        subprocess.run(command, input=json.dumps(report), text=True, check=True)


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Ours is red where one that costs no more attains more."""
    grid = Table("load", "cold s", "policy", "violation s", "attainment", "worker s", "kills")
    for row in rows:
        cells = (row["slo_violation_s"], row["attainment"], row["worker_s"], row["busy_kills"])
        formats = ("{:.1f}", "{:.4f}", "{:.0f}", "{:.1f}")
        texts = [form.format(cell["mean"]) for form, cell in zip(formats, cells, strict=True)]
        beaten = any(beats(other, row) for other in rows)
        style = "bold" if row["policy"] == "ours" else ""
        style += " red" if beaten and row["policy"] == "ours" else ""
        grid.add_row(row["load"], f"{row['cold_start_s']:g}", row["policy"], *texts, style=style)
    console.print(grid)


def _cells(loads: Sequence[Load], policies: Sequence[str], chosen: bool) -> Iterator[Cell]:
    """Unless they were asked for by name, the ablations run with one cold start only."""
    for load in loads:
        for cold_start_s in load.cold_starts_s or COLD_STARTS_S:
            for policy in policies:
                if policy not in ABLATIONS or chosen or cold_start_s == ABLATION_COLD_START_S:
                    yield load, cold_start_s, policy


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.autoscale", __doc__)
    parser.add_argument("--seeds", type=int, default=30, help="runs of each row (default 30)")
    parser.add_argument("--first-seed", type=int, default=0, help="others tune on (default 0)")
    parser.add_argument(
        "--policies", nargs="+", choices=POLICIES, metavar="NAME", help=", ".join(POLICIES)
    )
    parser.add_argument("--loads", nargs="+", choices=LOADS, metavar="NAME", help=", ".join(LOADS))
    parser.add_argument("--trace", type=Path, nargs="+", default=[], help="further loads")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count(), help="default: one for each core"
    )
    parser.add_argument(
        "--engine", type=Path, default=RESULTS / "engine.json", help="measured runs of the engine"
    )
    parser.add_argument(
        "--plot", type=Path, default=RESULTS / "autoscale.png", help="where it goes"
    )
    parser.add_argument("--no-plot", dest="plot", action="store_const", const=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
