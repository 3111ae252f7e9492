"""What the API costs and what its promises are worth.

    python -m bench.api [--pairs 12] [--seconds 3] [--json bench/results/api.json]

- Submissions: jobs accepted a second by one API process, beside a bare Flask route under the same
  gunicorn settings, for prompts of token ids and for texts. Runs take turns, A B C D, D C B A, …; a
  ratio is the median over the pairs.
- ETA: what `POST /v1/jobs` said (`eta_s`) against what it took, on the simulated engine.
- Memory of one API process while many callers wait.
- The time from a job's end to its waiting caller's last byte.

`--header` goes with every request but submissions, which bring a key with limits of their own.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batcher.model_store import prepare_model
from bench import eta_error, last_byte, submit_rate, waiting_memory
from bench.conditions import conditions
from bench.pairs import console
from bench.prepared import add_models, link_models
from bench.report import hand_in, make_parser
from bench.server import Server
from bench.target import Target
from bench.up import Up
from headrace.core.settings import load_settings

PARTS = ["submit", "memory", "eta", "last-byte"]
IDLE = {f"HEADRACE_SIMULATED_{part}_S": "0" for part in ("ALPHA", "BETA", "GAMMA")}


def main() -> None:
    arguments = _parse()
    _allow_many_connections()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        link_models(folder, arguments.models)
        report = measure(folder, arguments)
    hand_in(report, targets, arguments)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    report: dict[str, Any] = {}
    parts = arguments.only
    settings = load_settings(state_dir=folder, model="smollm2", engine="simulated")
    card = prepare_model(settings, console.print).card
    with Server(folder) as server:
        report["conditions"] = conditions(server.client())
        if "submit" in parts:
            report |= submit_rate.measure(server, card, arguments.pairs, arguments.seconds)
        if "memory" in parts:
            report |= waiting_memory.measure(server, card, arguments.waiting, arguments.header)
    if "eta" in parts:
        with _served(folder) as up:
            report |= eta_error.measure(
                up.url, arguments.eta_s, arguments.warm_up_s, arguments.header
            )
    if "last-byte" in parts:
        with _served(folder, **IDLE) as up:
            report |= last_byte.measure(up.url, arguments.requests, arguments.header)
    return report


def targets(report: Mapping[str, Any]) -> list[Target]:
    """Those of the parts that were measured."""
    found = []
    if "ratio_submit_vs_bare" in report:
        ratio = report["ratio_submit_vs_bare"]
        found.append(Target("ratio_submit_vs_bare", ratio, at_least=0.4))
    for load in ("eta_backlog", "eta_arrivals"):
        if load in report:
            error = report[load]["median_error"]
            found.append(Target(f"{load} median_error", error, at_most=0.25))
    if "rss_mb_waiting" in report:
        found.append(Target("rss_mb_waiting", report["rss_mb_waiting"], at_most=300))
    if "finish_to_last_byte_ms" in report:
        lag = report["finish_to_last_byte_ms"]["p50"]
        found.append(Target("finish_to_last_byte_ms p50", lag, at_most=5))
    return found


def _served(folder: Path, **settings: str) -> Up:
    """A whole deployment on the simulated engine."""
    return Up(folder, HEADRACE_ENGINE="simulated", **settings)


def _allow_many_connections() -> None:
    """For this process and those that it starts: a connection is a file."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.api", __doc__)
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="parts to measure")
    parser.add_argument("--pairs", type=int, default=12, help="pairs of runs (default 12)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a run (default 3)")
    parser.add_argument("--eta-s", type=float, default=60.0, help="of each load (default 60)")
    parser.add_argument(
        "--warm-up-s", type=float, default=20.0, help="before each load (default 20)"
    )
    parser.add_argument("--waiting", type=int, default=1000, help="callers (default 1000)")
    parser.add_argument("--requests", type=int, default=200, help="for the last byte (default 200)")
    parser.add_argument("--header", action="append", default=[], help="sent with every request")
    add_models(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
