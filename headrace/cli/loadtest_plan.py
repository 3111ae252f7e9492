"""From options to the plan of a load test; what contradicts itself is a usage error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from headrace.core.errors import InvalidRequest
from headrace.core.settings import load_settings
from headrace.loadtest.assertions import Assertion, require_levels
from headrace.loadtest.datasets.dataset import Dataset
from headrace.loadtest.datasets.parse import parse_dataset
from headrace.loadtest.loads import ClosedLoad, Limits, Load, OpenLoad, TraceLoad
from headrace.loadtest.plan import Plan
from headrace.loadtest.prompts import FilePrompts
from headrace.loadtest.ramp import Ramp
from headrace.loadtest.service_level import parse_service_levels
from headrace.loadtest.slo import Slo
from headrace.loadtest.target import Address
from headrace.loadtest.traces.read import read_trace

DEFAULT_CONCURRENCY = "1,5,15,30"
DEFAULT_DURATION_S = 40.0
DEFAULT_MAX_TOKENS = 16

Options = Mapping[str, Any]


def make_plan(options: Options) -> Plan:
    """Raises `click.UsageError`, naming the option, before anything is sent."""
    settings = load_settings()
    with usage_errors():
        if options["prompts"] is not None:
            FilePrompts(options["prompts"])
        dataset = _dataset(options)
        return Plan(
            address=Address.parse(options["url"]),
            api=options["api"],
            model=options["model"],
            api_key=options["api_key"],
            loads=_loads(options, dataset),
            limits=_limits(options),
            timeout_s=options["timeout"],
            temperature=options["temperature"],
            prompts_file=options["prompts"],
            repeat_prompts=options["repeat_prompts"],
            dataset=dataset,
            bounds=parse_service_levels(options["goodput"]),
            repeat=options["repeat"],
            seed=options["seed"],
            slo=Slo(
                _or_default(options["slo_latency_s"], settings.slo_latency_s),
                _or_default(options["slo_tpot_s"], settings.slo_tpot_s),
            ),
        )


def parse_assertions(texts: Sequence[str], plan: Plan) -> Sequence[Assertion]:
    """Raises `click.UsageError` for a wrong one, or one about a level that is not run."""
    with usage_errors():
        service_levels = [bounds.name for bounds in plan.bounds]
        assertions = [Assertion.parse(text, service_levels) for text in texts]
        require_levels(assertions, plan.loads)
        return assertions


def _dataset(options: Options) -> Dataset | None:
    """None: random words, or the prompts of a file."""
    if options["dataset"] is None:
        return None
    for name in ("prompts", "trace", "repeat_prompts"):
        if options[name]:
            raise click.UsageError(f"give one of --dataset and --{name.replace('_', '-')}")
    return parse_dataset(options["dataset"])


def _loads(options: Options, dataset: Dataset | None) -> Sequence[Load]:
    given = [name for name in ("concurrency", "rates", "trace") if options[name] is not None]
    if len(given) > 1:
        raise click.UsageError("give one of --concurrency, --rate and --trace")
    if options["trace"] is not None:
        return [_trace(options)]
    sizes = _sizes(options, dataset)
    if options["rates"] is not None:
        law = {name: options[name] for name in ("arrivals", "cv", "seed")}
        rates = _levels("--rate", options["rates"], float, options)
        return [OpenLoad(rate, **law, **sizes, ramp=ramp) for rate, ramp in rates]
    users = _levels("--concurrency", options["concurrency"] or DEFAULT_CONCURRENCY, int, options)
    return [ClosedLoad(int(number), **sizes, ramp=ramp) for number, ramp in users]


def _trace(options: Options) -> TraceLoad:
    trace = read_trace(options["trace"])
    if options["prompts"] and any(arrival.blocks for arrival in trace):
        raise click.UsageError("--prompts: this --trace says itself which prompts share tokens")
    return TraceLoad(trace, options["speed"])


def _sizes(options: Options, dataset: Dataset | None) -> Mapping[str, Any]:
    """0 for what is as long as the data set has it."""
    if dataset is not None and dataset.has_own_sizes:
        return {"prompt_tokens": 0, "max_tokens": options["max_tokens"] or 0}
    max_tokens = options["max_tokens"] or DEFAULT_MAX_TOKENS
    return {"prompt_tokens": options["prompt_tokens"], "max_tokens": max_tokens}


def _levels(
    option: str, text: str, kind: type[int] | type[float], options: Options
) -> Sequence[tuple[float, Ramp | None]]:
    """Each number, and how it is risen to where it is written as FROM:TO."""
    levels = [part.split(":") for part in text.split(",")]
    ends = numbers(option, ",".join(level[-1] for level in levels), kind)
    return [
        (end, _ramp(option, ":".join(level), end, kind, options) if len(level) > 1 else None)
        for level, end in zip(levels, ends, strict=True)
    ]


def _ramp(
    option: str, text: str, end: float, kind: type[int] | type[float], options: Options
) -> Ramp:
    [start] = numbers(option, text.rpartition(":")[0], kind)
    if start >= end:
        raise InvalidRequest(f"{option}: {text}: a ramp rises, FROM:TO as 1:30")
    if options["requests"] is not None:
        raise click.UsageError(f"{option}: {text}: a ramp takes --duration, not --requests")
    return Ramp(start, options["warmup"], options["duration"] or DEFAULT_DURATION_S)


def _limits(options: Options) -> Limits:
    duration_s, requests = options["duration"], options["requests"]
    if duration_s is not None and requests is not None:
        raise click.UsageError("give one of --duration and --requests")
    if duration_s is None and requests is None and options["trace"] is None:
        duration_s = DEFAULT_DURATION_S
    return Limits(options["warmup"], duration_s, requests)


def numbers(option: str, text: str, kind: type[int] | type[float]) -> Sequence[float]:
    try:
        numbers = [kind(part) for part in text.split(",")]
    except ValueError as error:
        raise InvalidRequest(f"{option}: {text!r} is no list of numbers like 1,5") from error
    if not all(0 < number < float("inf") for number in numbers):
        raise InvalidRequest(f"{option}: every number is above 0")
    if len(set(numbers)) < len(numbers):
        raise InvalidRequest(f"{option}: {text} names a level twice")
    return numbers


def _or_default(given: float | None, default: float) -> float:
    return default if given is None else given


@contextmanager
def usage_errors() -> Iterator[None]:
    try:
        yield
    except InvalidRequest as error:
        raise click.UsageError(str(error)) from error
