"""30 requests one after another beside the same 30 at once, through HTTP, queue and batch.

    python -m bench.smoke [--pairs 12] [--max-tokens 16] [--json bench/results/smoke.json]

Starts `headrace up` on an embedded Redis of its own. Sequential (S) and concurrent (C) runs
alternate as S C C S, since the speed of a shared machine drifts; the ratio is the median over the
pairs, with its bootstrap 95 % interval.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import track

REQUESTS = 30
READY_S = 300
RESULTS = Path(__file__).parent / "results" / "smoke.json"

console = Console(stderr=True)


@dataclass(frozen=True)
class Run:
    """One pass over all requests."""

    tokens_per_s: float
    batch_size: float


def main() -> None:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        process = _start(Path(folder), arguments.state_dir, port)
        try:
            client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600)
            _wait_until_ready(client, process)
            report = measure(client, arguments.pairs, arguments.max_tokens)
        finally:
            process.terminate()
            process.wait()
    arguments.json.parent.mkdir(exist_ok=True)
    arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    Console().print_json(data=report)


def measure(client: httpx.Client, pairs: int, max_tokens: int) -> dict[str, Any]:
    _pass(client, REQUESTS, max_tokens)  # warm-up
    sequential, concurrent = [], []
    for pair in track(range(pairs), "pairs", console=console):
        order = ((1, sequential), (REQUESTS, concurrent))
        for concurrency, runs in order if pair % 2 == 0 else reversed(order):
            runs.append(_pass(client, concurrency, max_tokens))
    ratios = [
        many.tokens_per_s / one.tokens_per_s
        for one, many in zip(sequential, concurrent, strict=True)
    ]
    low, high = interval(ratios)
    return {
        "sequential_tokens_per_s": _median(run.tokens_per_s for run in sequential),
        "concurrent_tokens_per_s": _median(run.tokens_per_s for run in concurrent),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_interval": [round(low, 2), round(high, 2)],
        "mean_batch_size": _median(run.batch_size for run in concurrent),
        "requests": REQUESTS,
        "max_tokens": max_tokens,
        "pairs": pairs,
        "model": client.get("/readyz").json()["model"],
        "cpu": f"{os.cpu_count()} x {platform.processor() or platform.machine()}",
    }


def _pass(client: httpx.Client, concurrency: int, max_tokens: int) -> Run:
    """All requests, `concurrency` at a time."""

    def ask(number: int) -> dict[str, Any]:
        body = {
            "prompt": f"Here are some facts about the number {number}:",
            "max_tokens": max_tokens,
            "temperature": 0,
        }
        response = client.post("/v1/completions", json=body).raise_for_status()
        job = client.get(f"/v1/jobs/{response.headers['X-Headrace-Job-Id']}").json()
        return {"tokens": job["usage"]["completion_tokens"], "batch_size": job["batch_size"]}

    started = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        answers = list(pool.map(ask, range(REQUESTS)))
    elapsed_s = time.perf_counter() - started
    return Run(
        tokens_per_s=sum(answer["tokens"] for answer in answers) / elapsed_s,
        batch_size=statistics.mean(answer["batch_size"] for answer in answers),
    )


def interval(values: Sequence[float], resamples: int = 10_000) -> tuple[float, float]:
    """Bootstrap 95 % interval of the median."""
    draw = random.Random(0)
    medians = sorted(
        statistics.median(draw.choices(values, k=len(values))) for _ in range(resamples)
    )
    return medians[int(0.025 * resamples)], medians[int(0.975 * resamples)]


def _median(values: Any) -> float:
    return round(statistics.median(values), 1)


def _start(folder: Path, state_dir: Path | None, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "headrace", "up", "--port", str(port)]
    command += ["--state-dir", str(state_dir or folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < until:
        try:
            if client.get("/readyz").json().get("workers", {}).get("ready"):
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    sys.exit("headrace up did not become ready")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.smoke", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--pairs", type=int, default=12, help="pairs of runs (default 12)")
    parser.add_argument("--max-tokens", type=int, default=16, help="output tokens a request")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the result goes")
    parser.add_argument("--state-dir", type=Path, help="keeps the prepared model between runs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
