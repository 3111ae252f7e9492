"""Runs a capacity test for somebody at a terminal, and says what came of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import click
from rich.console import Console

from headrace.cli.capacity_view import drawn
from headrace.cli.loadtest_plan import numbers, usage_errors
from headrace.cli.loadtest_run import FAILED, HOLDS, INTERRUPTED, NOT_MEASURED, progress_on
from headrace.cli.measured_levels import MeasuredLevels
from headrace.cli.output_file import require_writable
from headrace.cli.terminal import console
from headrace.core.errors import Unavailable
from headrace.core.settings import Settings
from headrace.loadtest.fleet_watch import PATH
from headrace.loadtest.load_test import LoadTest
from headrace.loadtest.loads import Limits, Load
from headrace.loadtest.plan import Plan
from headrace.loadtest.progress import Progress
from headrace.loadtest.result import Result
from headrace.loadtest.slo import Slo
from headrace.loadtest.target import Address, Target, open_target
from headrace.planning.capacity import (
    Capacity,
    CapacityTest,
    Deployment,
    Question,
    Unbearable,
    require_question,
)
from headrace.planning.capacity_report import report, rows, start_values
from scaler.mind import rules_of
from scaler.rules import Rules

MULTIPLES = (0.5, 1, 2, 4, 8)
MOST_WORKERS = 64
TIMEOUT_S = 600.0


def run_capacity(settings: Settings, options: Mapping[str, Any]) -> int:
    """The exit status."""
    with usage_errors():
        question = _question(settings, options)
        rates = options["rates"] and numbers("--rates", options["rates"], float)
        address = Address.parse(options["url"])
    for path in (options["json_path"], options["start_path"]):
        require_writable(path)
    progress = progress_on(Console(stderr=True), options["no_progress"])
    try:
        with MeasuredLevels(progress, options["json_path"]) as measured:
            bench = Bench(address, options, question, measured)
            _hand_in(asyncio.run(bench.run()), question, settings, rates, bench, options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Unbearable as error:
        click.echo(f"headrace: {error}", err=True)
        return FAILED
    except Unavailable as error:
        click.echo(f"headrace: {error}", err=True)
        return NOT_MEASURED
    return HOLDS


class Bench:
    """The deployment at an address, and how loads are sent to it."""

    def __init__(
        self,
        address: Address,
        options: Mapping[str, Any],
        question: Question,
        progress: Progress,
    ) -> None:
        self.address, self.model = address, options["model"]
        self._key = options["api_key"]
        self._question = question
        self._progress = progress
        self._sent = 0

    async def run(self) -> Capacity:
        async with open_target(self.address, self._key) as target:
            self.model = self.model or await target.first_model()
            fleet = await _fleet_of(target)
        return await CapacityTest(self._question, _deployment(fleet), self.measure).run()

    async def measure(self, loads: Sequence[Load], seconds: float) -> Sequence[Result]:
        """No prompt is sent twice: what is remembered of it would make it quicker."""
        self._sent += 1
        plan = Plan(
            address=self.address,
            loads=loads,
            limits=Limits(self._question.warmup_s, seconds, None),
            slo=self._question.slo,
            model=self.model,
            api_key=self._key,
            timeout_s=TIMEOUT_S,
            seed=self._question.seed * 1000 + self._sent,
        )
        return await LoadTest(plan, self._progress).run()


async def _fleet_of(target: Target) -> Mapping[str, Any]:
    try:
        return dict(await target.get(PATH))
    except Unavailable as error:
        raise Unavailable(
            f"{error}; a capacity is that of a Headrace whose fleet may be seen: on its own"
            " machine, or with an administrator's --api-key"
        ) from error


def _question(settings: Settings, options: Mapping[str, Any]) -> Question:
    question = Question(
        prompt_tokens=options["prompt_tokens"],
        max_tokens=options["max_tokens"],
        slo=Slo(settings.slo_latency_s, settings.slo_tpot_s),
        objective=settings.slo_objective,
        warmup_s=options["warmup"],
        seconds=options["duration"],
        precision=options["precision"],
        held_out=numbers("--held-out", options["held_out"], float),
        tries=options["tries"],
        seed=options["seed"],
    )
    require_question(question)
    return question


def _deployment(fleet: Mapping[str, Any]) -> Deployment:
    ready = [worker for worker in fleet["workers"] if worker["activity"] == "ready"]
    if not ready or fleet["starting"]:
        raise Unavailable(
            f"{len(ready)} workers are ready and {fleet['starting']} start:"
            " wait until all are ready"
        )
    times = sorted(fleet["cold_starts_s"])
    slots = min(worker["slots"] for worker in ready)
    return Deployment(len(ready), slots, times[int(0.9 * (len(times) - 1))] if times else None)


def _hand_in(
    capacity: Capacity,
    question: Question,
    settings: Settings,
    rates: Sequence[float] | None,
    bench: Bench,
    options: Mapping[str, Any],
) -> None:
    rates = rates or [float(f"{share * capacity.rate:.3g}") for share in MULTIPLES]
    table = rows(capacity, question, rates, _rules(settings, capacity, question))
    if (path := options["json_path"]) is not None:
        found = report(capacity, question, table, bench.address.root, bench.model)
        path.write_text(json.dumps(found, indent=2) + "\n")
    if (path := options["start_path"]) is not None:
        path.write_text(start_values(capacity, question).encode())
    console().print(drawn(capacity, question, table))


def _rules(settings: Settings, capacity: Capacity, question: Question) -> Rules:
    """Those of a scaler that has these start values, and room."""
    most = settings.scaler_max or max(MOST_WORKERS, settings.scaler_min)
    slots = capacity.deployment.slots
    changed = settings.model_copy(
        update={"scaler_max": most, "max_slots": slots, "scaler_fleet": "kubernetes"}
    )
    return replace(rules_of(changed), start=start_values(capacity, question))
