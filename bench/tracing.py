"""What traces cost: CPU time a request with and without them.

    python -m bench.tracing [--pairs 12] [--requests 1000] [--json bench/results/tracing.json]

Fresh deployments alternate as A B B A, as in `bench.metrics`, on a simulated engine that takes no
time. "On" sends every span of every request to a collector in this process, which throws them
away. Off, a no-op stands at each place: its calls are timed by themselves, as a difference so
small shows in no pair of deployments. Shares are of such a request, and of one on the real model.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import timeit
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from flask import Response

import api.traces
from bench.metrics import MAX_TOKENS, NO_ENGINE, REAL_REQUESTS, cpu_us
from bench.pairs import alternate, interval
from bench.prepared import add_models, link_models
from bench.report import hand_in, make_parser
from bench.target import Target
from headrace.core.jobs.handover import Finished, Outcome
from worker import traces as worker_traces

MOST_SHARE = 0.05
OFF_SHARE = 0.005
"""Half a hundredth: no pair of runs would show it."""


def main() -> None:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), arguments)
    hand_in(report, targets, arguments)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    link_models(folder, arguments.models)

    def off() -> float:
        return cpu_us(folder, arguments.requests, **NO_ENGINE)

    with collector() as url:
        with_us, without_us = alternate(
            arguments.pairs,
            lambda: cpu_us(folder, arguments.requests, **NO_ENGINE, HEADRACE_OTLP_URL=url),
            off,
        )
    real_us = cpu_us(folder, REAL_REQUESTS)
    off_us = no_op_us()
    return {
        "on": costs(with_us, without_us, real_us),
        "off": {
            "cost_us": round(off_us, 2),
            "share_of_request": round(off_us / statistics.median(without_us), 5),
        },
        "real_request_us": round(real_us),
        "pairs": arguments.pairs,
        "requests_a_run": arguments.requests,
    }


def no_op_us() -> float:
    """What the calls of one request take where nothing is traced."""
    web, worker = api.traces.NoTraces(), worker_traces.NoTraces()
    response, outcome = cast(Response, None), cast(Outcome, None)

    def one_request() -> None:
        web.begin()
        web.traceparent()
        with web.enqueueing(1):
            pass
        web.end(response)
        for _step in range(MAX_TOKENS):
            worker.stepped()
        worker.ended(outcome, cast(Finished, None))
        worker.rested()

    return min(timeit.repeat(one_request, number=10_000, repeat=5)) / 10_000 * 1e6


def costs(more: Sequence[float], less: Sequence[float], real_us: float) -> dict[str, Any]:
    """Microseconds of CPU time a request, in the median, with 95 % intervals."""
    found = [a - b for a, b in zip(more, less, strict=True)]
    low, high = interval(found)
    request_us, cost_us = statistics.median(less), statistics.median(found)
    return {
        "cost_us": round(cost_us, 1),
        "cost_us_interval": [round(low, 1), round(high, 1)],
        "request_us": round(request_us),
        "share_of_request": round(cost_us / request_us, 4),
        "share_of_request_interval": [round(low / request_us, 4), round(high / request_us, 4)],
        "share_of_real_request": round(cost_us / real_us, 5),
        "share_of_real_request_interval": [round(low / real_us, 5), round(high / real_us, 5)],
    }


def targets(report: dict[str, Any]) -> list[Target]:
    on, off = report["on"], report["off"]
    return [
        Target("on, share of a real request", on["share_of_real_request"], at_most=MOST_SHARE),
        Target("on, share of one without a model", on["share_of_request"], at_most=MOST_SHARE),
        Target("off, share of one without a model", off["share_of_request"], at_most=OFF_SHARE),
    ]


@contextmanager
def collector() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.tracing", __doc__)
    parser.add_argument("--pairs", type=int, default=12, help="pairs of runs (default 12)")
    parser.add_argument("--requests", type=int, default=1000, help="requests a run (default 1000)")
    add_models(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
