"""From options to the plan of a load test; what contradicts itself is a usage error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from headrace.core.errors import InvalidRequest
from headrace.core.settings import load_settings
from headrace.loadtest.assertions import Assertion, require_levels
from headrace.loadtest.loads import ClosedLoad, Limits, Load, OpenLoad, TraceLoad
from headrace.loadtest.plan import Plan
from headrace.loadtest.prompts import FilePrompts
from headrace.loadtest.slo import Slo
from headrace.loadtest.target import Address
from headrace.loadtest.trace import read_trace

DEFAULT_CONCURRENCY = "1,5,15,30"
DEFAULT_DURATION_S = 40.0

Options = Mapping[str, Any]


def make_plan(options: Options) -> Plan:
    """Raises `click.UsageError`, naming the option, before anything is sent."""
    settings = load_settings()
    with usage_errors():
        if options["prompts"] is not None:
            FilePrompts(options["prompts"])
        return Plan(
            address=Address.parse(options["url"]),
            api=options["api"],
            model=options["model"],
            api_key=options["api_key"],
            loads=_loads(options),
            limits=_limits(options),
            timeout_s=options["timeout"],
            temperature=options["temperature"],
            prompts_file=options["prompts"],
            repeat_prompts=options["repeat_prompts"],
            seed=options["seed"],
            slo=Slo(
                _or_default(options["slo_latency_s"], settings.slo_latency_s),
                _or_default(options["slo_tpot_s"], settings.slo_tpot_s),
            ),
        )


def parse_assertions(texts: Sequence[str], loads: Sequence[Load]) -> Sequence[Assertion]:
    """Raises `click.UsageError` for a wrong one, or one about a level that is not run."""
    with usage_errors():
        assertions = [Assertion.parse(text) for text in texts]
        require_levels(assertions, loads)
        return assertions


def _loads(options: Options) -> Sequence[Load]:
    given = [name for name in ("concurrency", "rates", "trace") if options[name] is not None]
    if len(given) > 1:
        raise click.UsageError("give one of --concurrency, --rate and --trace")
    sizes = {name: options[name] for name in ("prompt_tokens", "max_tokens")}
    if options["trace"] is not None:
        return [TraceLoad(read_trace(options["trace"]), options["speed"])]
    if options["rates"] is not None:
        law = {name: options[name] for name in ("arrivals", "cv", "seed")}
        rates = numbers("--rates", options["rates"], float)
        return [OpenLoad(rate, **law, **sizes) for rate in rates]
    users = numbers("--concurrency", options["concurrency"] or DEFAULT_CONCURRENCY, int)
    return [ClosedLoad(int(number), **sizes) for number in users]


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
