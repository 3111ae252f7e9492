"""30 requests one after another beside the same 30 at once, through HTTP, queue and batch.

    python -m bench.smoke [--pairs 12] [--max-tokens 16] [--json bench/results/smoke.json]

Starts `headrace up` on an embedded Redis of its own and sends with the load tester. Runs of one
user and of 30 alternate as A B B A, since the speed of a shared machine drifts; the ratio is the
median over the pairs, with its bootstrap 95 % interval.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import platform
import statistics
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.pairs import alternate, interval
from bench.prepared import add_models, link_models
from bench.report import hand_in, make_parser, no_targets
from bench.up import Up
from headrace.loadtest.figures import Figures
from headrace.loadtest.load_test import LoadTest
from headrace.loadtest.loads import ClosedLoad, Limits
from headrace.loadtest.plan import Plan
from headrace.loadtest.progress import Lines
from headrace.loadtest.slo import Slo
from headrace.loadtest.target import Address

REQUESTS = 30
PROMPT_TOKENS = 32

seeds = itertools.count()


def main() -> None:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder:
        link_models(Path(folder), arguments.models)
        with Up(Path(folder)) as up:
            report = measure(up, arguments.pairs, arguments.max_tokens)
    hand_in(report, no_targets, arguments)


def measure(up: Up, pairs: int, max_tokens: int) -> dict[str, Any]:
    run(up.url, REQUESTS, max_tokens)  # warm-up
    sequential, concurrent = alternate(
        pairs, lambda: run(up.url, 1, max_tokens), lambda: run(up.url, REQUESTS, max_tokens)
    )
    ratios = [
        many.output_tokens_per_s / one.output_tokens_per_s
        for one, many in zip(sequential, concurrent, strict=True)
    ]
    low, high = interval(ratios)
    return {
        "sequential_tokens_per_s": _median(one.output_tokens_per_s for one in sequential),
        "concurrent_tokens_per_s": _median(many.output_tokens_per_s for many in concurrent),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_interval": [round(low, 2), round(high, 2)],
        "mean_batch_size": _median(many.batch_size or 0.0 for many in concurrent),
        "requests": REQUESTS,
        "prompt_tokens": PROMPT_TOKENS,
        "max_tokens": max_tokens,
        "pairs": pairs,
        "model": up.client.get("/readyz").json()["model"],
        "cpu": f"{os.cpu_count()} x {platform.processor() or platform.machine()}",
    }


def run(url: str, users: int, max_tokens: int) -> Figures:
    """All requests, `users` at a time, each with a prompt that was never sent before."""
    plan = Plan(
        address=Address.parse(url),
        loads=[ClosedLoad(users, PROMPT_TOKENS, max_tokens)],
        limits=Limits(warmup_s=0.0, duration_s=None, requests=REQUESTS),
        slo=Slo(latency_s=1.0, tpot_s=0.15),
        api="sync",
        seed=next(seeds),
    )
    (result,) = asyncio.run(LoadTest(plan, Lines(Console(quiet=True))).run())
    assert not result.figures.errors, result.figures.errors
    return result.figures


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 1)


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.smoke", __doc__)
    parser.add_argument("--pairs", type=int, default=12, help="pairs of runs (default 12)")
    parser.add_argument("--max-tokens", type=int, default=16, help="output tokens a request")
    add_models(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
