"""What metrics cost: CPU time a request with and without them.

    python -m bench.metrics [--pairs 16] [--requests 300] [--json bench/results/metrics.json]

Two deployments stand side by side, one with HEADRACE_METRICS=false, both on a simulated engine
that takes no time, so that only HTTP, queue and batching are left to measure. Runs alternate as
A B B A; a scrape of both exporters is part of every run. The share is that of such a request,
and that of a request on the real model, whose CPU time is measured last.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from bench.pairs import alternate, interval
from bench.up import Up

CONCURRENCY = 8
MAX_TOKENS = 16
REAL_REQUESTS = 120
RESULTS = Path(__file__).parent / "results" / "metrics.json"
NO_TIME = {f"HEADRACE_SIMULATED_{part}_S": "0" for part in ("ALPHA", "BETA", "GAMMA")}


def main() -> None:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), arguments)
    arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    Console().print_json(data=report)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    counted = _up(folder / "with", arguments.models, HEADRACE_ENGINE="simulated", **NO_TIME)
    plain = _up(
        folder / "without",
        arguments.models,
        HEADRACE_ENGINE="simulated",
        HEADRACE_METRICS="false",
        **NO_TIME,
    )
    try:
        for each in (counted, plain):
            cpu_us(each, arguments.requests)  # warm-up
        with_us, without_us = alternate(
            arguments.pairs,
            lambda: cpu_us(counted, arguments.requests),
            lambda: cpu_us(plain, arguments.requests),
        )
    finally:
        counted.close()
        plain.close()
    real = _up(folder / "real", arguments.models)
    try:
        cpu_us(real, REAL_REQUESTS)  # warm-up
        real_us = cpu_us(real, REAL_REQUESTS)
    finally:
        real.close()
    return _report(with_us, without_us, real_us, arguments)


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


def cpu_us(up: Up, requests: int) -> float:
    """CPU microseconds a request of all processes of a deployment."""
    before = up.cpu_s()

    def ask(number: int) -> None:
        body = {"prompt": f"The number {number}:", "max_tokens": MAX_TOKENS, "temperature": 0}
        up.client.post("/v1/completions", json=body).raise_for_status()

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        list(pool.map(ask, range(requests)))
    for port in (up.port, up.metrics_port):
        httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status()
    return (up.cpu_s() - before) / requests * 1e6


def _up(state_dir: Path, models: Path | None, **settings: str) -> Up:
    state_dir.mkdir()
    if models is not None:
        (state_dir / "models").symlink_to(models.absolute())
    return Up(state_dir, **settings)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.metrics", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--pairs", type=int, default=16, help="pairs of runs (default 16)")
    parser.add_argument("--requests", type=int, default=300, help="requests a run (default 300)")
    parser.add_argument("--models", type=Path, help="folder of prepared models")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the result goes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
