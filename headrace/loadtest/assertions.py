"""What a test demands of its figures: `p95<1.0@15`, `goodput.chat>0.99`, `ttft.p95.high<0.5`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headrace.core.errors import InvalidRequest
from headrace.loadtest.loads import Load
from headrace.loadtest.repeats import RepeatedLevel, repeated_levels
from headrace.loadtest.result import Result
from headrace.loadtest.slo import Slo
from headrace.loadtest.values import GOODPUTS, METRICS, Name, Value

GRAMMAR = re.compile(
    r"(?P<metric>[a-z_][a-z0-9_]*)(\.(?P<part>[a-z0-9_-]+?))??(\.(?P<end>low|high))?"
    r"\s*(?P<sign><=|>=|<|>)\s*(?P<limit>\d+(\.\d+)?)\s*(@(?P<level>\S+))?"
)
SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Failure:
    """An assertion that does not hold; `reason` has the measured value or why there is none."""

    text: str
    level: str
    reason: str


@dataclass(frozen=True)
class Assertion:
    """`end` is the end of the interval that has to keep to the limit; None: the value itself."""

    text: str
    name: Name
    end: str | None
    sign: str
    limit: float
    level: str | None

    @classmethod
    def parse(cls, text: str, service_levels: Sequence[str] = ()) -> Assertion:
        """Raises `InvalidRequest` for what is no assertion."""
        bare = re.sub(r"^\s*(p\d+)", r"e2e.\1", text).strip()
        found = GRAMMAR.fullmatch(bare)
        if found is None:
            raise InvalidRequest(
                f"--assert: {text!r} is not METRIC[.pNN|.NAME][.low|.high] OP NUMBER [@LEVEL]"
            )
        try:
            name = _name(found["metric"], found["part"], service_levels)
        except ValueError as error:
            raise InvalidRequest(f"--assert: {text!r}: {error}") from error
        return cls(text, name, found["end"], found["sign"], float(found["limit"]), found["level"])

    def is_about(self, load: Load) -> bool:
        return self.level is None or self.level == load.label

    def check(self, level: RepeatedLevel) -> Failure | None:
        """Judges the median of a level that ran several times.

        Nothing holds on a level that is not valid.
        """
        if level.problems:
            return self._failure(level, f"the level is not valid: {'; '.join(level.problems)}")
        value = level.value(self.name)
        if value is None:
            return self._failure(level, "was not measured")
        if not value.supported:
            return self._failure(level, "too few answers for this percentile")
        measured = _end(value, self.end)
        if measured is None:
            return self._failure(level, "has no interval: --repeat the level")
        if SIGNS[self.sign](measured, self.limit):
            return None
        return self._failure(level, f"measured {value.value:.4g}{self._more(value, level)}")

    def _more(self, value: Value, level: RepeatedLevel) -> str:
        """The interval, where it was asked for or comes from several runs."""
        repeated = len(level.runs) > 1
        interval = _interval(value) if repeated or self.end else ""
        return f"{interval}, the median of {len(level.valid_runs)} runs" if repeated else interval

    def _failure(self, level: RepeatedLevel, reason: str) -> Failure:
        return Failure(self.text, level.label, reason)


def _name(metric: str, part: str | None, service_levels: Sequence[str]) -> Name:
    """Raises `ValueError`, saying what may stand there."""
    if metric not in METRICS:
        raise ValueError(f"metrics are {', '.join(METRICS)}")
    if metric in GOODPUTS:
        known = [Slo.name, *service_levels]
        if part not in (None, *known):
            raise ValueError(f"service levels are {', '.join(known)}")
        return Name(metric, None, part or Slo.name)
    percents = {f"p{percent}": percent for percent in METRICS[metric]}
    if part not in (percents or (None,)):
        one_of = ", ".join(f"{metric}.{each}" for each in percents) or metric
        raise ValueError(f"say {one_of}")
    return Name(metric, percents[part] if part else None)


def _end(value: Value, end: str | None) -> float | None:
    if end is None:
        return value.value
    return value.low if end == "low" else value.high


def _interval(value: Value) -> str:
    return "" if value.low is None else f" [{value.low:.4g} {value.high:.4g}]"


def require_levels(assertions: Sequence[Assertion], loads: Sequence[Load]) -> None:
    """Raises `InvalidRequest` for an assertion about a level that will not run."""
    for assertion in assertions:
        if not any(assertion.is_about(load) for load in loads):
            levels = ", ".join(load.label for load in loads)
            raise InvalidRequest(f"--assert: {assertion.text!r}: the levels are {levels}")


def failures(assertions: Sequence[Assertion], results: Sequence[Result]) -> Sequence[Failure]:
    """Also of levels that an interruption left out: what did not run does not hold."""
    levels = repeated_levels(results)
    found: list[Failure] = []
    for assertion in assertions:
        about = [level for level in levels if assertion.is_about(level.load)]
        if not about:
            found.append(Failure(assertion.text, assertion.level or "any", "did not run"))
        found += [failure for each in about if (failure := assertion.check(each))]
    return found
