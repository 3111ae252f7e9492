"""Time of an engine's step outside the forward of its model.

    python -m bench.host_time [--rows 32,256] [--openvino] [--json bench/results/host.json]

The torch engine decodes `--rows` rows on a model with next to nothing in it, whose vocabulary is
small or that of SmolLM2: greedy rows, sampled ones, and ones with all three penalties, behind short
and long outputs. `host_ms` is the median over `--steps` steps of what the model's forward leaves,
`sample_ms` what of it the sampler takes. `host_fast_ms` is that of the fastest fifth of the steps,
and `host_cpu_ms` the work of the engine's thread, which a busy machine changes less. Torch has one
thread, so that all the work is seen. Only the small vocabulary has targets: with the large one the
sampler reads far more numbers. The simulated engine runs beside it, and with `--openvino` the
OpenVINO engine on the model of the settings, where the pipeline's step is the forward.
"""

from __future__ import annotations

import argparse
import random
import shlex
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from rich.progress import track

from batcher.engine import Engine
from batcher.simulated import SimulatedEngine
from batcher.torch_engine.engine import TorchEngine
from batcher.torch_engine.model import make_ready
from bench import engine_model
from bench.machine_conditions import machine_conditions
from bench.near_empty import make_card, make_model
from bench.pairs import console
from bench.report import RESULTS, hand_in, make_parser
from bench.stopwatch import Stopwatch, TimedStep, now
from bench.target import Target
from headrace.core.settings import Settings, load_settings
from headrace.core.types import Request, Sampling

SMALL, LARGE = 512, 49_152
"""Vocabularies: one that costs next to nothing to sample from, and SmolLM2's."""

RULES: dict[str, dict[str, float]] = {
    "greedy": {"temperature": 0.0},
    "sampled": {"temperature": 0.8, "top_p": 0.95},
    "penalised": {
        "temperature": 0.8,
        "top_p": 0.95,
        "repetition_penalty": 1.1,
        "presence_penalty": 0.2,
        "frequency_penalty": 0.1,
    },
}
MOST_MS = {32: 1.0, 256: 3.0}
PROMPT_TOKENS, WARM_STEPS = 32, 5
PREFILL_TOKENS = 16_384
LAW = {"simulated_alpha_s": 0.0, "simulated_beta_s": 0.0, "simulated_gamma_s": 0.0}


@dataclass(frozen=True)
class Subject:
    """An engine, and the stopwatches of its model's forward and of its sampler."""

    engine: Engine
    vocabulary: int
    forward: Stopwatch
    sampler: Stopwatch


@dataclass(frozen=True)
class Case:
    """`rows` decode behind `output_tokens` that they had before."""

    rows: int
    rules: str
    output_tokens: int


def main() -> None:
    arguments = _parse()
    report = measure(arguments)
    hand_in(report, targets, arguments)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(arguments.threads)
    conditions = machine_conditions("torch", "transformers")
    variants = list(_variants(arguments))
    return {
        "command": shlex.join(["python", "-m", "bench.host_time", *sys.argv[1:]]),
        "steps": arguments.steps,
        "threads": arguments.threads,
        "conditions": conditions,
        "rows": [
            {"engine": name, **run(make, case, arguments.steps)}
            for name, make, case in track(variants, "engines", console=console)
        ],
    }


def targets(report: Mapping[str, Any]) -> list[Target]:
    return [
        Target(
            f"host_ms {row['rows']} {row['rules']} {row['output_tokens']}",
            row["host_ms"],
            at_most=MOST_MS[row["rows"]],
        )
        for row in report["rows"]
        if (row["engine"], row["vocabulary"]) == ("torch", SMALL) and row["rows"] in MOST_MS
    ]


def run(make: Callable[[Case], Subject], case: Case, steps: int) -> dict[str, Any]:
    """Medians over `steps` steps in which all rows decode, in milliseconds."""
    subject = make(case)
    for number in range(case.rows):
        subject.engine.add(*_request(subject.vocabulary, case, number, steps))
    _read_prompts(subject.engine, case.rows)
    whole, forward, sampler = [], [], []
    for _step in range(steps):
        started = now()
        subject.engine.step()
        whole.append(now() - started)
        forward.append(subject.forward.reset())
        sampler.append(subject.sampler.reset())
    subject.engine.close()
    host = [every - model for every, model in zip(whole, forward, strict=True)]
    return {
        "vocabulary": subject.vocabulary,
        "rows": case.rows,
        "rules": case.rules,
        "output_tokens": case.output_tokens,
        "host_ms": _median_ms([span.wall_s for span in host]),
        "host_fast_ms": _median_ms(sorted(span.wall_s for span in host)[: max(1, steps // 5)]),
        "host_cpu_ms": _median_ms([span.cpu_s for span in host]),
        "sample_ms": _median_ms([span.wall_s for span in sampler]),
        "forward_ms": _median_ms([span.wall_s for span in forward]),
    }


def make_torch(vocabulary: int, case: Case) -> Subject:
    settings = _settings(case.rows, dtype="float32", device="cpu")
    forward, sampler = Stopwatch(), Stopwatch()
    model = make_model(vocabulary)
    forward.attach(model, "forward")
    engine = TorchEngine(make_ready(model, settings), settings, make_card(vocabulary))
    sampler.attach(engine, "_sampler")
    return Subject(engine, vocabulary, forward, sampler)


def make_simulated(vocabulary: int, case: Case) -> Subject:
    engine = SimulatedEngine(_settings(case.rows, **LAW), make_card(vocabulary))
    return Subject(engine, vocabulary, Stopwatch(), Stopwatch())


def make_openvino(case: Case) -> Subject:
    engine: Any = engine_model.load(_settings(case.rows, engine="openvino"))
    forward = Stopwatch()
    engine._runner = TimedStep(engine._runner, forward)
    return Subject(engine, engine._vocabulary, forward, Stopwatch())


def _variants(
    arguments: argparse.Namespace,
) -> Iterator[tuple[str, Callable[[Case], Subject], Case]]:
    cases = [
        Case(rows, rules, length)
        for rows in arguments.rows
        for rules in RULES
        for length in arguments.lengths
    ]
    for vocabulary in arguments.vocabularies:
        for case in cases:
            yield "torch", partial(make_torch, vocabulary), case
    for case in cases:
        if case.rules == "greedy":
            yield "simulated", partial(make_simulated, SMALL), case
    for case in cases if arguments.openvino else ():
        if case.rows <= load_settings().max_slots:
            yield "openvino", make_openvino, case


def _settings(rows: int, **overrides: Any) -> Settings:
    return load_settings(max_slots=rows, prefill_tokens=PREFILL_TOKENS, **overrides)


def _request(vocabulary: int, case: Case, number: int, steps: int) -> tuple[Request, Sequence[int]]:
    """A request that outlasts the run, and the output that it had before."""
    draw = random.Random(number)
    ids = [draw.randrange(vocabulary) for _id in range(PROMPT_TOKENS + case.output_tokens)]
    # Those that are read first decode while the rest is read.
    most = case.output_tokens + WARM_STEPS + steps + case.rows
    rules = Sampling(most, **RULES[case.rules], seed=number)  # type: ignore[arg-type]
    request = Request(f"row-{number}", "model", "card", tuple(ids[:PROMPT_TOKENS]), rules)
    return request, ids[PROMPT_TOKENS:]


def _read_prompts(engine: Engine, rows: int) -> None:
    """Steps until all rows decode, and a few times more. Raises `RuntimeError` where one ends."""
    decoding = warm = 0
    while warm < WARM_STEPS:
        deltas = engine.step()
        if len(deltas) < decoding or any(delta.is_last for delta in deltas):
            raise RuntimeError(f"one of {rows} rows ended: {deltas}")
        decoding = len(deltas)
        warm += decoding == rows


def _median_ms(seconds: Sequence[float]) -> float:
    return round(statistics.median(seconds) * 1000, 3)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.host_time", __doc__)
    parser.set_defaults(json=RESULTS / "host.json")
    parser.add_argument("--rows", type=_numbers, default=[32, 256], help="default 32,256")
    parser.add_argument(
        "--lengths", type=_numbers, default=[10, 1000], help="output tokens (default 10,1000)"
    )
    parser.add_argument(
        "--vocabularies", type=_numbers, default=[SMALL, LARGE], help=f"default {SMALL},{LARGE}"
    )
    parser.add_argument("--steps", type=int, default=50, help="steps of each (default 50)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    parser.add_argument("--openvino", action="store_true", help="the OpenVINO engine as well")
    return parser.parse_args()


if __name__ == "__main__":
    main()
