"""Whether one tenant's flood delays the others, and what a claim costs with a long queue.

    python -m bench.fairness [--pairs 5] [--waiting 50000] [--json bench/results/fairness.json]

Nine tenants with five jobs each on a simulated engine in this process, alone and, in turn, behind
a tenth that has `--flood` jobs waiting and one in every slot. Their wait (acceptance to claim) at
the 95th percentile may at most double, plus the time of one service, for which a slot may be taken.

Then `--waiting` jobs are queued in three mixes (one tenant's flood with nine small ones behind it,
ten tenants in blocks, ten tenants shuffled with random costs), and claims of 1 and of 32 jobs are
timed from this process, round trip and decoding included.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import claim_time
from bench.conditions import conditions
from bench.neighbours import JOBS_EACH, OUTPUT_TOKENS, TENANTS, Neighbours, Run
from bench.pairs import alternate
from bench.report import hand_in, make_parser
from bench.rounds import ratio
from bench.server import Server
from bench.target import Target
from bench.workload import roomy_settings
from headrace.core.settings import load_settings
from headrace.core.telemetry import configure_logging

LAW = {"simulated_alpha_s": 0.005, "simulated_beta_s": 0.0005, "simulated_gamma_s": 0.0}


def main() -> None:
    arguments = _parse()
    configure_logging(load_settings(log_level="error"), "bench")
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        report = measure(server, arguments)
    hand_in(report, targets, arguments)


def measure(server: Server, arguments: argparse.Namespace) -> dict[str, Any]:
    redis = server.client()
    machine = conditions(redis)
    neighbours = Neighbours(redis, roomy_settings(max_slots=arguments.slots, **LAW))
    alone, flooded = alternate(
        arguments.pairs, lambda: neighbours.run(0), lambda: neighbours.run(arguments.flood)
    )
    return {
        **_waits(alone, flooded),
        "claim_ms": claim_time.measure(redis, arguments.waiting, arguments.claims),
        "tenants": TENANTS,
        "jobs_a_tenant": JOBS_EACH,
        "output_tokens": OUTPUT_TOKENS,
        "slots": arguments.slots,
        "flood": arguments.flood,
        "pairs": arguments.pairs,
        "waiting_at_claims": arguments.waiting,
        "claims": arguments.claims,
        "conditions": machine,
    }


def targets(report: Mapping[str, Any]) -> list[Target]:
    claims = [
        Target(f"claim_ms {mix} {slots} {name}", spread[name], at_most=5)
        for mix, each in report["claim_ms"].items()
        for slots, spread in each.items()
        for name in ("p50", "p99")
    ]
    return [Target("flooded_p95_over_bound", report["flooded_p95_over_bound"], at_most=1), *claims]


def _waits(alone: Sequence[Run], flooded: Sequence[Run]) -> dict[str, Any]:
    bounds = [2 * run.p95 + run.service_s for run in alone]
    return {
        "alone_p95_s": _median([run.p95 for run in alone]),
        "flooded_p95_s": _median([run.p95 for run in flooded]),
        "service_s": _median([run.service_s for run in alone]),
        "bound_s": _median(bounds),
        **ratio("flooded_p95_over_alone", [run.p95 for run in flooded], [run.p95 for run in alone]),
        **ratio("flooded_p95_over_bound", [run.p95 for run in flooded], bounds),
    }


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 4)


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.fairness", __doc__)
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs (default 5)")
    parser.add_argument("--slots", type=int, default=8, help="slots of the engine (default 8)")
    parser.add_argument("--flood", type=int, default=1000, help="jobs of one tenant (default 1000)")
    parser.add_argument(
        "--waiting", type=int, default=50_000, help="jobs that wait at a claim (default 50000)"
    )
    parser.add_argument(
        "--claims", type=int, default=300, help="claims of each number of slots (default 300)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
