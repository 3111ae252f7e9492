"""Whether a long queue costs more than a short one, and whether interactive work notices it.

    python -m bench.backlog [--lengths 1000 10000 100000] [--json bench/results/backlog.json]

Each length stands on a server of its own: jobs an hour old of ten tenants, three priorities and two
model cards. The calls of workers, API, monitor and command line are timed on all of them in turn;
then each server is restarted. At last a worker process with the simulated engine, its slots full of
long default jobs, serves interactive jobs one at a time: behind the longest backlog, and before it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import first_token, long_queue, queue_calls
from bench.conditions import conditions
from bench.machine_conditions import machine_conditions
from bench.prepared import add_models, link_models
from bench.report import hand_in, make_parser
from bench.server import Server
from bench.target import Target
from bench.workload import roomy_settings
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import load_settings
from headrace.core.telemetry import configure_logging

MOST_RATIO = 2.0
LOADED_WITHIN_S = 60.0

PATIENT: dict[str, Any] = {"lease_s": 600.0}
"""Nobody renews the leases of the claims that are measured: slow machines let them run out."""


class QueueServer(Server):
    """A server that may have much to load."""

    ready_s = LOADED_WITHIN_S


def main() -> None:
    arguments = _parse()
    configure_logging(load_settings(log_level="error"), "bench")
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), arguments)
    hand_in(report, targets, arguments)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    report: dict[str, Any] = {"lengths": {}}
    with ExitStack() as servers:
        queues: dict[int, JobQueue] = {}
        for length in arguments.lengths:
            server = servers.enter_context(QueueServer(_folder(folder, length)))
            report["conditions"] = machine_conditions() | conditions(server.client())
            queues[length] = JobQueue(
                server.client(), roomy_settings(redis_url=server.url, **PATIENT)
            )
            report["lengths"][f"{length}"] = _fill(queues[length], length)
        calls = {length: queue_calls.calls_of(queue) for length, queue in queues.items()}
        for length, times in queue_calls.measure(calls, arguments.repeats).items():
            report["lengths"][f"{length}"]["ms"] = times
        report["claims_of_the_longest_ms"] = queue_calls.time_claims(
            queues[max(queues)], arguments.claims
        )
    for length in arguments.lengths:
        report["lengths"][f"{length}"]["restart_s"] = _restart_s(_folder(folder, length))
    report |= _first_token(_folder(folder, 0), arguments)
    return report | _ratios(report["lengths"], arguments.lengths)


def targets(report: Mapping[str, Any]) -> list[Target]:
    *_shorter, longest = report["lengths"].values()
    ratios = report["ratio"].items()
    return [
        Target("claim_ms p99", report["claims_of_the_longest_ms"]["p99"], at_most=5),
        *(Target(f"{name} ratio", each, at_most=MOST_RATIO) for name, each in ratios),
        Target("bytes_a_job", longest["bytes_a_job"], at_most=4096),
        Target("restart_s", longest["restart_s"], at_most=20),
        Target("first_token_steps_more p50", report["first_token_steps_more_p50"], at_most=2),
        Target("first_token_steps_more p95", report["first_token_steps_more_p95"], at_most=2),
    ]


def _fill(queue: JobQueue, length: int) -> dict[str, Any]:
    before = queue.redis.info("memory")["used_memory"]
    long_queue.fill(queue, long_queue.mixed(length), length)
    after = queue.redis.info("memory")["used_memory"]
    return {"bytes_a_job": round((after - before) / length)}


def _restart_s(folder: Path) -> float:
    """Seconds until a server has loaded its file as it was appended, command by command."""
    began = time.monotonic()
    with QueueServer(folder):
        return round(time.monotonic() - began, 2)


def _first_token(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    link_models(folder, arguments.models)
    with Server(folder) as server:
        return first_token.measure(server, folder, max(arguments.lengths), arguments.samples)


def _ratios(lengths: Mapping[str, Any], sizes: list[int]) -> dict[str, Any]:
    """Medians beside the longest queue over those beside the one before it."""
    shorter, longest = (lengths[f"{size}"]["ms"] for size in sizes[-2:])
    return {"ratio": {n: round(longest[n]["p50"] / shorter[n]["p50"], 2) for n in longest}}


def _folder(folder: Path, length: int) -> Path:
    path = folder / f"{length}"
    path.mkdir(exist_ok=True)
    return path


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.backlog", __doc__)
    parser.add_argument(
        "--lengths",
        type=int,
        nargs="+",
        default=[1000, 10_000, 100_000],
        help="waiting jobs, ascending (default 1000 10000 100000)",
    )
    parser.add_argument("--repeats", type=int, default=20, help="of each call (default 20)")
    parser.add_argument(
        "--claims", type=int, default=200, help="of the longest queue (default 200)"
    )
    parser.add_argument("--samples", type=int, default=50, help="interactive jobs (default 50)")
    add_models(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
