"""What a job costs around the model: no-op jobs through stock RQ workers and through ours.

    python -m bench.queue [--rounds 12] [--run-s 1.0] [--json bench/results/queue.json]

One embedded server; RQ's SimpleWorker, its forking Worker and our BatchWorker at 1, 8 and 32 jobs a
batch take turns, A B C D E, E D C B A, … Each run has as many jobs as keep that worker busy for
`--run-s`, all waiting before it starts; its time is that between the worker's birth and its death.
Stock jobs import a function that does nothing and returns nothing. Ours carry a prompt of 16 tokens
and end with one token, streamed, counted and logged; leases are kept and the heartbeat runs.
Ratios are medians over the rounds with bootstrap 95 % intervals. Round trips and commands are
counted in runs of their own. Logs are off on both sides.

Run it on a quiet machine: where something else keeps the cores awake, SimpleWorker, which waits for
20 answers a job, can be twice as fast as where each wait lets a core sleep. `others_cores` in the
result says what other processes used during the runs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from redis import Redis

from bench import submission, traffic
from bench.conditions import conditions
from bench.contender import Batched, Contender, Run, jobs_for, run
from bench.report import hand_in, make_parser
from bench.rounds import interleave, ratio
from bench.server import Server
from bench.stock import Stock, TimedSimpleWorker, TimedWorker
from bench.target import Target
from headrace.core.connection import Client
from headrace.core.settings import load_settings
from headrace.core.telemetry import configure_logging

BATCHES = (1, 8, 32)
SIMPLE, FORKING = "simpleworker", "worker"

AIM = 40
"""The ratio of batches of 32 to SimpleWorker that is aimed at; below `at_least` the run fails."""


def main() -> None:
    arguments = _parse()
    configure_logging(load_settings(log_level="error"), "bench")
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        report = measure(server, arguments)
    hand_in(report, targets, arguments)


def measure(server: Server, arguments: argparse.Namespace) -> dict[str, Any]:
    machine = conditions(server.client())
    # A stock worker is given the client that its users would make.
    contenders = contenders_on(server.client(), Redis.from_url(server.url))
    jobs = {name: jobs_for(each, arguments.run_s) for name, each in contenders.items()}
    runs = interleave(
        arguments.rounds,
        {name: partial(run, each, jobs[name]) for name, each in contenders.items()},
        "running",
    )
    return {
        **_ratios(runs),
        "aim_batch32_vs_simpleworker": AIM,
        "jobs_per_s": {name: round(_median_rate(each)) for name, each in runs.items()},
        "cpu_us_per_job": {
            name: _us(run.cpu_s / run.jobs for run in each) for name, each in runs.items()
        },
        "server_cpu_us_per_job": {
            name: _us(run.server_cpu_s / run.jobs for run in each) for name, each in runs.items()
        },
        "others_cores": {name: _others(each) for name, each in runs.items()},
        **_traffic(server, arguments.counted_jobs),
        **submission.measure(server, arguments.rounds, arguments.submit_jobs),
        "jobs_a_run": jobs,
        "rounds": arguments.rounds,
        "conditions": machine,
    }


def contenders_on(ours: Client, stock: Client) -> dict[str, Contender]:
    return {
        SIMPLE: Stock(stock, TimedSimpleWorker),
        FORKING: Stock(stock, TimedWorker),
        **{f"batch{slots}": Batched(ours, slots) for slots in BATCHES},
    }


def targets(report: Mapping[str, Any]) -> list[Target]:
    large, small = (f"ratio_batch{slots}_vs_{SIMPLE}" for slots in (32, 1))
    many = "ratio_submit_many_vs_enqueue_many"
    return [
        Target(large, report[large], at_least=21),
        Target(small, report[small], at_least=4),
        Target("round_trips_per_batch", report["round_trips_per_batch"], at_most=4),
        Target(many, report[many], at_least=0.8),
    ]


def _ratios(runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    rates = {name: [run.jobs_per_s for run in each] for name, each in runs.items()}
    ratios: dict[str, Any] = {}
    for slots in BATCHES:
        for stock in (SIMPLE, FORKING):
            name = f"ratio_batch{slots}_vs_{stock}"
            ratios |= ratio(name, rates[f"batch{slots}"], rates[stock])
    return ratios


def _median_rate(runs: Sequence[Run]) -> float:
    return statistics.median(run.jobs_per_s for run in runs)


def _us(seconds: Iterable[float]) -> int:
    return round(statistics.median(seconds) * 1e6)


def _others(runs: Sequence[Run]) -> dict[str, float]:
    cores = [run.others_cores for run in runs]
    return {"median": round(statistics.median(cores), 3), "max": round(max(cores), 3)}


def _traffic(server: Server, jobs: int) -> dict[str, Any]:
    """Not of the forking worker: what its children send is not seen here."""
    redis, sent = traffic.counting_client(server)
    contenders = contenders_on(redis, redis)
    del contenders[FORKING]
    counts = {name: traffic.measure(each, sent, jobs) for name, each in contenders.items()}
    largest = counts[f"batch{BATCHES[-1]}"]
    return {
        "round_trips_per_batch": largest.trips_per_batch,
        "round_trips_per_job": {name: each.trips_per_job for name, each in counts.items()},
        "commands_per_job": {name: each.commands_per_job for name, each in counts.items()},
        "traffic": {name: asdict(each) for name, each in counts.items()},
    }


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.queue", __doc__)
    parser.add_argument("--rounds", type=int, default=12, help="runs of each worker (default 12)")
    parser.add_argument("--run-s", type=float, default=1.0, help="seconds of a run (default 1.0)")
    parser.add_argument(
        "--counted-jobs", type=int, default=640, help="jobs whose traffic is counted (default 640)"
    )
    parser.add_argument(
        "--submit-jobs", type=int, default=1000, help="jobs of a run that submits (default 1000)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
