"""What the queue adds to a job on an idle system, and what an idle worker costs.

    python -m bench.overhead [--jobs 300] [--idle-s 20] [--json bench/results/overhead.json]

One worker process with the simulated engine at no service time, on an embedded server. Jobs come
one at a time: the next after the previous has ended and a random pause, so that the worker waits
in Redis when it arrives. Times are Redis TIME, but for `call_to_first_token`, which begins before
the call that submits (same machine, same clock). Before that, the worker is left alone for
`--idle-s` and its CPU time is read.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import track

from bench.conditions import conditions
from bench.endings import Endings
from bench.pairs import console
from bench.prepared import add_models, link_models
from bench.report import hand_in, make_parser
from bench.server import Server
from bench.target import Target
from bench.worker_process import WorkerProcess
from headrace.core.card_store import CardStore
from headrace.core.jobs.queue import JobQueue
from headrace.core.model_card import ModelCard
from headrace.core.settings import load_settings
from headrace.core.types import Request, Sampling
from headrace.loadtest.quantiles import percentile

MAX_TOKENS = 4
THINK_S = (0.02, 0.2)
SETTLE_S = 3.0
NO_SERVICE_TIME = {
    "HEADRACE_ENGINE": "simulated",
    **{f"HEADRACE_SIMULATED_{part}_S": "0" for part in ("ALPHA", "BETA", "GAMMA")},
}


@dataclass(frozen=True)
class Sample:
    """Seconds of one job."""

    pickup: float
    accept_to_first_token: float
    call_to_first_token: float
    accept_to_end: float


def main() -> None:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        link_models(Path(folder), arguments.models)
        report = measure(server, Path(folder), arguments)
    hand_in(report, targets, arguments)


def measure(server: Server, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    redis = server.client()
    machine = conditions(redis)
    with WorkerProcess(server, folder, **NO_SERVICE_TIME) as worker:
        time.sleep(SETTLE_S)
        idle = idle_cost(worker, arguments.idle_s)
        queue, card = JobQueue(redis, load_settings()), CardStore(redis).current()
        samples = list(_samples(queue, card, arguments.jobs))
    return {
        **{f"{name}_ms": _spread(samples, name) for name in Sample.__dataclass_fields__},
        **idle,
        "jobs": arguments.jobs,
        "think_s": THINK_S,
        "max_tokens": MAX_TOKENS,
        "conditions": machine,
    }


def idle_cost(worker: WorkerProcess, idle_s: float) -> dict[str, Any]:
    """The share of one core that the worker takes while nothing happens."""
    before, started = worker.cpu_s(), time.monotonic()
    time.sleep(idle_s)
    share = (worker.cpu_s() - before) / (time.monotonic() - started)
    return {"idle_cpu_share": round(share, 5), "idle_s": idle_s, "idle_status": worker.status}


def targets(report: Mapping[str, Any]) -> list[Target]:
    first = report["accept_to_first_token_ms"]
    return [
        Target("accept_to_first_token_ms p50", first["p50"], at_most=10),
        Target("accept_to_first_token_ms p95", first["p95"], at_most=30),
        Target("pickup_ms p50", report["pickup_ms"]["p50"], at_most=5),
        Target("idle_cpu_share", report["idle_cpu_share"], at_most=0.01),
    ]


def _samples(queue: JobQueue, card: ModelCard, jobs: int) -> Iterable[Sample]:
    draw, endings = random.Random(0), Endings(queue)
    for number in track(range(jobs), "jobs", console=console):
        time.sleep(draw.uniform(*THINK_S))
        yield _sample(queue, endings, card, f"bench-{number}")
    endings.close()


def _sample(queue: JobQueue, endings: Endings, card: ModelCard, job_id: str) -> Sample:
    rules = Sampling(max_tokens=MAX_TOKENS, temperature=0.0)
    request = Request(job_id, card.name, card.hash, card.tokenize("One, two, three:"), rules)
    called = time.time()
    queue.submit(request)
    (job,) = endings.wait([job_id])
    if job.result is None:
        raise RuntimeError(f"{job_id} {job.state}: {job.error}")
    stages, accepted = job.timings.stages, job.timings.accepted
    assert accepted is not None  # a job that succeeded has all of its stamps
    first_token_s = stages["queue_wait"] + stages["prefill"]
    return Sample(
        pickup=stages["queue_wait"],
        accept_to_first_token=first_token_s,
        call_to_first_token=accepted + first_token_s - called,
        accept_to_end=sum(stages.values()),
    )


def _spread(samples: Iterable[Sample], name: str) -> dict[str, float]:
    ordered = sorted(getattr(sample, name) * 1000 for sample in samples)
    return {f"p{percent}": round(percentile(ordered, percent), 3) for percent in (50, 95, 99)}


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.overhead", __doc__)
    parser.add_argument("--jobs", type=int, default=300, help="jobs sent (default 300)")
    parser.add_argument("--idle-s", type=float, default=20.0, help="idle seconds (default 20)")
    add_models(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
