"""What a test demands of its figures: `p95<1.0@15`, `ttft.p95<0.5`, `errors<=0`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headrace.core.errors import InvalidRequest
from headrace.loadtest.figures import STAGE_PERCENTS, Figures, Spread
from headrace.loadtest.loads import Load
from headrace.loadtest.quantiles import PERCENTS
from headrace.loadtest.record import ALL_STAGES
from headrace.loadtest.result import COMPARED, Result

GRAMMAR = re.compile(
    r"(?P<metric>[a-z_][a-z0-9_]*)(\.p(?P<percent>\d+))?"
    r"\s*(?P<sign><=|>=|<|>)\s*(?P<limit>\d+(\.\d+)?)\s*(@(?P<level>\S+))?"
)
SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
SPREADS: Mapping[str, Callable[[Figures], Spread | None]] = {
    "e2e": lambda figures: figures.e2e,
    "ttft": lambda figures: figures.ttft,
    "tpot": lambda figures: figures.tpot,
}
SCALARS: Mapping[str, Callable[[Figures], float | None]] = {
    "throughput": lambda figures: figures.throughput,
    "input_tokens_per_s": lambda figures: figures.input_tokens_per_s,
    "output_tokens_per_s": lambda figures: figures.output_tokens_per_s,
    "errors": lambda figures: sum(figures.errors.values()),
    "goodput": lambda figures: figures.goodput,
    "goodput_per_s": lambda figures: figures.goodput_per_s,
    "batch_size": lambda figures: figures.batch_size,
}
DEGRADATION = "degradation"
METRICS: Mapping[str, Sequence[int]] = {
    **dict.fromkeys(SPREADS, PERCENTS),
    **dict.fromkeys(SCALARS, ()),
    **dict.fromkeys(ALL_STAGES, STAGE_PERCENTS),
    DEGRADATION: COMPARED,
}
"""The percentiles that each metric has; none: it is one number."""


@dataclass(frozen=True)
class Failure:
    """An assertion that does not hold; `reason` has the measured value or why there is none."""

    text: str
    level: str
    reason: str


@dataclass(frozen=True)
class Assertion:
    text: str
    metric: str
    percent: int | None
    sign: str
    limit: float
    level: str | None

    @classmethod
    def parse(cls, text: str) -> Assertion:
        """Raises `InvalidRequest` for what is no assertion."""
        bare = re.sub(r"^\s*(p\d+)", r"e2e.\1", text).strip()
        found = GRAMMAR.fullmatch(bare)
        if found is None:
            raise InvalidRequest(f"--assert: {text!r} is not METRIC[.pNN] OP NUMBER [@LEVEL]")
        metric, percent = found["metric"], int(found["percent"]) if found["percent"] else None
        if metric not in METRICS:
            raise InvalidRequest(f"--assert: {text!r}: metrics are {', '.join(METRICS)}")
        percents = METRICS[metric]
        if percent not in (percents or (None,)):
            one_of = ", ".join(f"{metric}.p{each}" for each in percents) or metric
            raise InvalidRequest(f"--assert: {text!r}: say {one_of}")
        return cls(text, metric, percent, found["sign"], float(found["limit"]), found["level"])

    def is_about(self, load: Load) -> bool:
        return self.level is None or self.level == load.label

    def check(self, result: Result, first: Result) -> Failure | None:
        """Nothing holds on a level that is not valid."""
        if result.problems:
            return self._failure(result, f"the level is not valid: {'; '.join(result.problems)}")
        if self._is_unsupported(result.figures):
            return self._failure(result, "too few answers for this percentile")
        value = self._value(result, first)
        if value is None:
            return self._failure(result, "was not measured")
        if SIGNS[self.sign](value, self.limit):
            return None
        return self._failure(result, f"measured {value:.4g}")

    def _value(self, result: Result, first: Result) -> float | None:
        if self.metric in SCALARS:
            return SCALARS[self.metric](result.figures)
        assert self.percent is not None
        if self.metric == DEGRADATION:
            return result.degradation(first).get(self.percent)
        if self.metric in SPREADS:
            spread = SPREADS[self.metric](result.figures)
            return spread.percentiles[self.percent].value if spread else None
        return result.figures.stages_s.get(self.metric, {}).get(self.percent)

    def _is_unsupported(self, figures: Figures) -> bool:
        spread = SPREADS[self.metric](figures) if self.metric in SPREADS else None
        if spread is None or self.percent is None:
            return False
        return not spread.percentiles[self.percent].supported

    def _failure(self, result: Result, reason: str) -> Failure:
        return Failure(self.text, result.load.label, reason)


def require_levels(assertions: Sequence[Assertion], loads: Sequence[Load]) -> None:
    """Raises `InvalidRequest` for an assertion about a level that will not run."""
    for assertion in assertions:
        if not any(assertion.is_about(load) for load in loads):
            levels = ", ".join(load.label for load in loads)
            raise InvalidRequest(f"--assert: {assertion.text!r}: the levels are {levels}")


def failures(assertions: Sequence[Assertion], results: Sequence[Result]) -> Sequence[Failure]:
    """Also of levels that an interruption left out: what did not run does not hold."""
    found: list[Failure] = []
    for assertion in assertions:
        about = [result for result in results if assertion.is_about(result.load)]
        if not about:
            found.append(Failure(assertion.text, assertion.level or "any", "did not run"))
        found += [fail for each in about if (fail := assertion.check(each, results[0]))]
    return found
