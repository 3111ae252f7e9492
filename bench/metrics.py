"""What metrics cost: CPU time a request with and without them.

    python -m bench.metrics [--pairs 16] [--requests 1000] [--json bench/results/metrics.json]

Deployments with and without HEADRACE_METRICS=false alternate as A B B A, on a simulated engine
that takes no time, so that only HTTP, queue and batching are left to measure. Each run has fresh
processes: two that live long differ by more than metrics cost, whatever they do. A scrape of both
exporters is part of every run. The share is that of such a request, and that of a request on the
real model, whose CPU time is measured last.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from bench.pairs import alternate, interval
from bench.prepared import add_models, link_models
from bench.report import hand_in, make_parser, no_targets
from bench.up import Up

CONCURRENCY = 8
MAX_TOKENS = 16
WARM_UP = 100
REAL_REQUESTS = 120
NO_ENGINE = {
    "HEADRACE_ENGINE": "simulated",
    **{f"HEADRACE_SIMULATED_{part}_S": "0" for part in ("ALPHA", "BETA", "GAMMA")},
}


def main() -> None:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), arguments)
    hand_in(report, no_targets, arguments)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    link_models(folder, arguments.models)
    with_us, without_us = alternate(
        arguments.pairs,
        lambda: cpu_us(folder, arguments.requests, **NO_ENGINE),
        lambda: cpu_us(folder, arguments.requests, **NO_ENGINE, HEADRACE_METRICS="false"),
    )
    return _report(with_us, without_us, cpu_us(folder, REAL_REQUESTS), arguments)


def _report(
    with_us: list[float], without_us: list[float], real_us: float, arguments: argparse.Namespace
) -> dict[str, Any]:
    costs = [more - less for more, less in zip(with_us, without_us, strict=True)]
    low, high = interval(costs)
    request_us = statistics.median(without_us)
    return {
        "cost_us": round(statistics.median(costs), 1),
        "cost_us_interval": [round(low, 1), round(high, 1)],
        "request_us": round(request_us),
        "share_of_request": round(statistics.median(costs) / request_us, 4),
        "share_of_request_interval": [round(low / request_us, 4), round(high / request_us, 4)],
        "real_request_us": round(real_us),
        "share_of_real_request": round(statistics.median(costs) / real_us, 5),
        "share_of_real_request_interval": [round(low / real_us, 5), round(high / real_us, 5)],
        "pairs": arguments.pairs,
        "requests_a_run": arguments.requests,
        "max_tokens": MAX_TOKENS,
        "concurrency": CONCURRENCY,
    }


def cpu_us(state_dir: Path, requests: int, **settings: str) -> float:
    """CPU microseconds a request of all processes of a fresh deployment, warmed up."""
    with Up(state_dir, **settings) as up:
        _send(up, WARM_UP)
        before = up.cpu_s()
        _send(up, requests)
        return (up.cpu_s() - before) / requests * 1e6


def _send(up: Up, requests: int) -> None:
    def ask(number: int) -> None:
        body = {"prompt": f"The number {number}:", "max_tokens": MAX_TOKENS, "temperature": 0}
        up.client.post("/v1/completions", json=body).raise_for_status()

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        list(pool.map(ask, range(requests)))
    for port in (up.port, up.metrics_port):
        httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status()


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.metrics", __doc__)
    parser.add_argument("--pairs", type=int, default=16, help="pairs of runs (default 16)")
    parser.add_argument("--requests", type=int, default=1000, help="requests a run (default 1000)")
    add_models(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
