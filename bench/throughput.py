"""Output tokens a second through the queue beside the same engine called directly.

    python -m bench.throughput [--pairs 12] [--requests 96] [--json bench/results/throughput.json]

One process loads the model once. A run either adds requests to the engine and steps it, or lets a
BatchWorker with its heartbeat take them from an embedded server, where clients in another process
submit them and read the results. Both keep `--concurrency` requests under way until all were sent:
directly the next one enters with the next step, through the queue when a client has read a result,
unless `--waiting` more stand in the queue. Output lengths differ, so that requests do not end
together. Runs alternate as A B B A.

The CPU times are those of the worker's loop: `queue` claims, finishes and waits; `publish` streams
tokens; `worker` is all of the loop but the engine's step, those two included.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from batcher.engine import load_engine
from batcher.model_store import prepare_model
from bench.conditions import conditions
from bench.feeder import Feeder
from bench.pairs import alternate, console
from bench.prepared import add_models, link_models
from bench.race import Race, Run
from bench.report import hand_in, make_parser
from bench.rounds import ratio
from bench.server import Server
from bench.target import Target
from bench.workload import roomy_settings
from headrace.core.cores import with_fair_threads
from headrace.core.model_card import ModelCard
from headrace.core.settings import load_settings
from headrace.core.telemetry import configure_logging
from headrace.core.types import Request, Sampling


def main() -> None:
    arguments = _parse()
    configure_logging(load_settings(log_level="error"), "bench")
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        link_models(Path(folder), arguments.models)
        report = measure(server, Path(folder), arguments)
    hand_in(report, targets, arguments)


def measure(server: Server, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    settings = with_fair_threads(
        roomy_settings(state_dir=folder, max_slots=arguments.concurrency, engine=arguments.engine)
    )
    machine = conditions(server.client())
    model = prepare_model(settings, console.log)
    engine = load_engine(settings, model)
    feeder = Feeder(server.url, arguments.concurrency + arguments.waiting)
    race = Race(server.client(), settings, model.card, engine, feeder)
    workload = Workload(model.card, arguments)
    try:
        race.directly(workload.requests())  # warm-up
        race.through_queue(workload.requests())
        queued, direct = alternate(
            arguments.pairs,
            lambda: race.through_queue(workload.requests()),
            lambda: race.directly(workload.requests()),
        )
    finally:
        race.close()
    return _report(queued, direct) | {
        "model": model.card.name,
        "threads": settings.threads,
        "concurrency": arguments.concurrency,
        "waiting": arguments.waiting,
        "requests_a_run": arguments.requests,
        "prompt_tokens": arguments.prompt_tokens,
        "max_tokens": arguments.max_tokens,
        "pairs": arguments.pairs,
        "conditions": machine,
    }


def targets(report: Mapping[str, Any]) -> list[Target]:
    return [Target("ratio_interval, lower end", report["ratio_interval"][0], at_least=0.9)]


class Workload:
    """The same requests for every run, but for their ids."""

    def __init__(self, card: ModelCard, arguments: argparse.Namespace) -> None:
        self._card = card
        self._count = arguments.requests
        self._prompt_tokens = arguments.prompt_tokens
        self._max_tokens = arguments.max_tokens
        self._runs = 0

    def requests(self) -> list[Request]:
        self._runs += 1
        draw = random.Random(0)
        return [self._request(f"run{self._runs}-{number}", draw) for number in range(self._count)]

    def _request(self, job_id: str, draw: random.Random) -> Request:
        text = " ".join(str(draw.randrange(1000)) for _word in range(self._prompt_tokens))
        prompt_ids = self._card.tokenize(text)[: self._prompt_tokens]
        spread = self._max_tokens // 2
        tokens = draw.randint(self._max_tokens - spread, self._max_tokens + spread)
        rules = Sampling(max_tokens=max(1, tokens), temperature=0.0)
        return Request(job_id, self._card.name, self._card.hash, prompt_ids, rules)


def _report(queued: Sequence[Run], direct: Sequence[Run]) -> dict[str, Any]:
    def per_step_ms(*kinds: str) -> float:
        spent = [sum(run.cpu_s[kind] for kind in kinds) / run.steps for run in queued]
        return round(statistics.median(spent) * 1000, 4)

    sides = {"queue": queued, "direct": direct}
    return {
        **ratio("ratio", _rates(queued), _rates(direct)),
        "tokens_per_s": {name: _median(_rates(runs)) for name, runs in sides.items()},
        "rows_per_step": {
            name: round(sum(run.rows for run in runs) / sum(run.steps for run in runs), 2)
            for name, runs in sides.items()
        },
        "queue_cpu_ms_per_step": per_step_ms("queue"),
        "publish_cpu_ms_per_step": per_step_ms("publish"),
        "heartbeat_cpu_ms_per_step": per_step_ms("heartbeat"),
        "worker_cpu_ms_per_step": round(per_step_ms("turn") - per_step_ms("step"), 4),
        "step_cpu_ms": per_step_ms("step"),
        "steps_a_run": {name: _median(run.steps for run in runs) for name, runs in sides.items()},
        "step_wall_ms": {
            name: _median(run.seconds / run.steps * 1000 for run in runs)
            for name, runs in sides.items()
        },
        "run_s": {name: _median(run.seconds for run in runs) for name, runs in sides.items()},
    }


def _rates(runs: Sequence[Run]) -> list[float]:
    return [run.tokens_per_s for run in runs]


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 2)


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.throughput", __doc__)
    parser.add_argument("--pairs", type=int, default=12, help="pairs of runs (default 12)")
    parser.add_argument("--requests", type=int, default=96, help="requests a run (default 96)")
    parser.add_argument("--concurrency", type=int, default=32, help="under way (default 32)")
    parser.add_argument(
        "--waiting", type=int, default=0, help="more that clients keep waiting in the queue"
    )
    parser.add_argument("--prompt-tokens", type=int, default=32, help="a request (default 32)")
    parser.add_argument(
        "--max-tokens", type=int, default=24, help="a request on average, half to one and a half"
    )
    parser.add_argument("--engine", choices=("torch", "openvino", "simulated"), default="torch")
    add_models(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
