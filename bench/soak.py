"""An engine at work for minutes, with requests aborted at random: does its memory grow?

    python -m bench.soak [--minutes 10] [--engine torch] [--json bench/results/soak.json]

64 slots of 1,024 tokens, which as many requests fill to their ends first: memory is taken as slots
fill. Then requests of mixed length keep them busy; a third begins alike, one in five is aborted at
some moment. Resident memory is read once a second. Growth is that of the last third's median over
the second third's.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.progress import Progress, track

from batcher.engine import Engine, load_engine
from batcher.model_store import prepare_model
from bench.pairs import console
from bench.prepared import add_models, link_models
from bench.report import hand_in, make_parser
from bench.target import Target
from headrace.core.cores import with_fair_threads
from headrace.core.model_card import ModelCard
from headrace.core.settings import load_settings
from headrace.core.types import Request, Sampling

CONTEXT_TOKENS = 1024
SHARED, PROMPTS, OUTPUTS = 300, (20, 400), (8, 128)
"""Tokens, where a slot has as many as above: that begin alike, of prompts and of outputs."""

ABORTED, SHARING = 0.2, 0.33


def main() -> None:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder:
        link_models(Path(folder), arguments.models)
        report = measure(Path(folder), arguments)
    hand_in(report, targets, arguments)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    settings = with_fair_threads(
        load_settings(
            state_dir=folder,
            engine=arguments.engine,
            max_slots=arguments.slots,
            max_context_tokens=arguments.context_tokens,
        )
    )
    model = prepare_model(settings, console.log)
    engine = load_engine(settings, model)
    crowd = Crowd(engine, model.card, arguments.slots, arguments.context_tokens)
    crowd.fill()
    resident_mb = _run(crowd, arguments.minutes * 60)
    third = len(resident_mb) // 3
    early, late = resident_mb[third : 2 * third], resident_mb[2 * third :]
    return {
        "engine": arguments.engine,
        "minutes": arguments.minutes,
        "slots": arguments.slots,
        "context_tokens": arguments.context_tokens,
        "requests": crowd.count,
        "aborted": crowd.aborted,
        "failed": crowd.failed,
        "output_tokens": engine.stats().output_tokens,
        "cached_tokens": engine.stats().cached_tokens,
        "resident_mb": resident_mb[:: max(1, len(resident_mb) // 60)],
        "most_resident_mb": max(resident_mb),
        "growth": round(statistics.median(late) / statistics.median(early) - 1, 4),
    }


def targets(report: Mapping[str, Any]) -> list[Target]:
    return [
        Target("most_resident_mb", report["most_resident_mb"], at_most=3000),
        Target("growth", report["growth"], at_most=0.02),
        Target("failed", report["failed"], at_most=0),
    ]


class Crowd:
    """Keeps the engine's slots full, and leaves some of its requests early."""

    def __init__(self, engine: Engine, card: ModelCard, slots: int, context_tokens: int) -> None:
        self.count = self.aborted = self.failed = 0
        self._engine = engine
        self._card = card
        self._slots = slots
        self._context_tokens = context_tokens
        self._draw = random.Random(0)
        self._vocabulary = card.tokenizer.get_vocab_size()
        self._shared = self._ids(self._scaled(SHARED))
        self._live: set[str] = set()

    def fill(self) -> None:
        """Every slot to its end."""
        half = self._context_tokens // 2
        for _slot in range(self._slots):
            self._engine.add(self._request_of(self._ids(half), half, temperature=0.0))
        for _token in track(range(half), "filling", console=console):
            self._engine.step()
        while not self._engine.is_idle:
            self._engine.step()

    def step(self) -> None:
        while len(self._live) < self._slots:
            request = self._request()
            self._live.add(request.id)
            self._engine.add(request)
        for delta in self._engine.step():
            self.failed += delta.error is not None
            if delta.is_last:
                self._live.discard(delta.request_id)
        if self._draw.random() < ABORTED * len(self._live) / 60:
            gone = self._draw.choice(sorted(self._live))
            self._live.discard(gone)
            self._engine.abort(gone)
            self.aborted += 1

    def _request(self) -> Request:
        prompt = self._ids(self._length(PROMPTS))
        if self._draw.random() < SHARING:
            prompt = (*self._shared, *prompt)
        tokens = self._length(OUTPUTS)
        if self._draw.random() < 0.05:  # some fill their slot
            tokens = self._context_tokens - len(prompt)
        return self._request_of(prompt, tokens, temperature=self._draw.choice([0.0, 0.8]))

    def _request_of(self, prompt: tuple[int, ...], tokens: int, temperature: float) -> Request:
        self.count += 1
        rules = Sampling(tokens, temperature, top_p=0.95)
        name = f"r{self.count}"
        return Request(name, self._card.name, self._card.hash, prompt, rules)

    def _length(self, bounds: tuple[int, int]) -> int:
        return self._draw.randint(*map(self._scaled, bounds))

    def _scaled(self, tokens: int) -> int:
        return tokens * self._context_tokens // CONTEXT_TOKENS

    def _ids(self, count: int) -> tuple[int, ...]:
        return tuple(self._draw.randrange(100, self._vocabulary) for _id in range(count))


def _run(crowd: Crowd, seconds: float) -> list[int]:
    """Resident memory in MB, once a second."""
    resident_mb: list[int] = []
    started = time.monotonic()
    with Progress(console=console) as progress:
        task = progress.add_task("soak", total=seconds)
        while (passed := time.monotonic() - started) < seconds:
            crowd.step()
            if passed >= len(resident_mb):
                resident_mb.append(_resident_mb())
                progress.update(
                    task, completed=passed, description=f"{resident_mb[-1]} MB, {crowd.count} sent"
                )
    return resident_mb


def _resident_mb() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 // 1_000_000


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.soak", __doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long (default 10)")
    parser.add_argument("--slots", type=int, default=64, help="of the engine (default 64)")
    parser.add_argument(
        "--context-tokens", type=int, default=CONTEXT_TOKENS, help="of a slot (default 1024)"
    )
    parser.add_argument("--engine", choices=("torch", "openvino"), default="torch")
    add_models(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
