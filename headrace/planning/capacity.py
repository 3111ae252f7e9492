"""How much load a deployment bears within its SLO, and how many workers any load would take."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, inf
from statistics import median

from headrace.core.errors import HeadraceError, InvalidRequest, Unavailable
from headrace.core.step_sums import StepSums
from headrace.loadtest.loads import ClosedLoad, Load, OpenLoad
from headrace.loadtest.record import DELIVERY, TOKENIZE, Record
from headrace.loadtest.result import Result
from headrace.loadtest.slo import Slo
from headrace.planning.machine import Machine
from headrace.planning.service import Prediction, Service, Stretch
from headrace.planning.usl import Point, Usl, fit_usl
from scaler.step_curve import LEAST_STEPS, fit

CROWDS = (0.0, 0.125, 0.5, 1.0)
"""Users of the first levels, in slots; the first one has a worker to himself."""

STEP = 1.2
"""From a rate that is kept to the next that is tried, until one is not; below, halves are."""

MOST_PROBES = 12
LEAST_SHARE = 0.02
"""Of what full slots would do: with less there is nothing to plan."""

ROUNDING = 1e-9

LEAST_REQUESTS = 10
"""Of a level; fewer say nothing."""

Measure = Callable[[Sequence[Load], float], Awaitable[Sequence[Result]]]
"""Sends loads, each measured for so many seconds."""


class Unbearable(HeadraceError):
    """Nothing to plan with: even little load misses the SLO, or the fleet changed meanwhile."""


@dataclass(frozen=True)
class Question:
    """`objective`: share of good answers; `precision`: how near the highest rate is to be found.

    `held_out`: shares of that rate, measured once the model is made, each `tries` times.
    """

    prompt_tokens: int
    max_tokens: int
    slo: Slo
    objective: float
    warmup_s: float
    seconds: float
    precision: float
    held_out: Sequence[float]
    tries: int
    seed: int

    def load(self, rate: float, seed: int) -> OpenLoad:
        return OpenLoad(rate, "poisson", 1.0, seed, self.prompt_tokens, self.max_tokens)


@dataclass(frozen=True)
class Deployment:
    """What answers: so many ready workers of so many slots each."""

    workers: int
    slots: int
    cold_start_s: float | None


@dataclass(frozen=True)
class Level:
    """One rate, as it was predicted before it was measured, and as it was measured.

    `pace`: how long its steps took as a multiple of what they should have. Other than 1 it says
    that the machine was slower or faster than before; `at_pace` is the prediction for such a one.
    """

    rate: float
    predicted: Prediction
    measured: Result
    pace: float
    at_pace: Prediction

    @property
    def p95_s(self) -> float:
        spread = self.measured.figures.e2e
        return spread.percentiles[95].value if spread else inf

    @property
    def tokens_per_s(self) -> float:
        return self.measured.figures.output_tokens_per_s

    @property
    def p95_error(self) -> float:
        return error(self.predicted.p95_s, self.p95_s)

    @property
    def p95_error_at_pace(self) -> float:
        return error(self.at_pace.p95_s, self.p95_s)

    @property
    def tokens_error(self) -> float:
        return error(self.predicted.tokens_per_s, self.tokens_per_s)


def error(predicted: float, measured: float) -> float:
    """Relative; infinite where nothing was measured."""
    return predicted / measured - 1 if measured else inf


@dataclass(frozen=True)
class Tried:
    """One rate, and each level at which it was sent, with arrivals of its own.

    Of several the median counts: a machine that stalls for a moment is no error of the model.
    """

    levels: Sequence[Level]

    @property
    def rate(self) -> float:
        return self.levels[0].rate

    @property
    def is_valid(self) -> bool:
        return all(level.measured.is_valid for level in self.levels)

    def middle(self, figure: Callable[[Level], float]) -> float:
        return median(map(figure, self.levels))


@dataclass(frozen=True)
class Capacity:
    """The highest `rate` whose answers are good, and the lowest that was tried in vain.

    None: no rate was too high.
    """

    rate: float
    too_high: float | None
    deployment: Deployment
    service: Service
    usl: Usl
    points: Sequence[Point]
    probes: Sequence[Level]
    held_out: Sequence[Tried]

    @property
    def per_worker(self) -> float:
        """Requests/s that are kept."""
        return self.rate / self.deployment.workers

    def workers(self, rate: float) -> tuple[int, int]:
        """Fewest and most that this rate takes, as far as its limit is known."""
        workers = self.deployment.workers
        least = 1 if self.too_high is None else _whole(rate * workers / self.too_high)
        return max(1, least), max(1, _whole(rate / self.per_worker))


class CapacityTest:
    """Raises `Unbearable`; a capacity is that of one size of the fleet."""

    def __init__(self, question: Question, deployment: Deployment, measure: Measure) -> None:
        self._question, self._deployment = question, deployment
        self._measure = measure
        self._results: list[Result] = []

    async def run(self) -> Capacity:
        crowds = list(self._crowds())
        results = await self._run(crowds, self._question.seconds / 2)
        points = list(self._points(zip(crowds, results, strict=True)))
        usl = fit_usl(points)
        probes = [level async for level in self._probes(self._likely(usl))]
        kept = [level.rate for level in probes if self._is_kept(level.measured)]
        if not kept:
            raise Unbearable(
                f"even {min(level.rate for level in probes):g} requests/s miss the SLO: give a"
                " looser one, shorter answers, more workers, or a longer --duration for less load"
            )
        rate = max(kept)
        held_out = await self._try_out(rate)
        lost = [level.rate for level in probes if not self._is_kept(level.measured)]
        too_high = min((each for each in lost if each > rate), default=None)
        return Capacity(
            rate,
            too_high,
            self._deployment,
            self.service(),
            usl,
            points,
            probes,
            held_out,
        )

    def service(self) -> Service:
        """Of all that was measured so far."""
        steps = StepSums()
        for result in self._results:
            steps = steps.plus(result.watched.steps or StepSums())
        curve = fit(steps)
        if curve is None:
            raise Unavailable(f"fewer than {LEAST_STEPS} steps were counted: measure longer")
        return Service(
            Machine(curve, self._deployment.slots),
            overhead_s=median(_overhead_s(result) for result in self._results),
            prompt_tokens=_mean_prompt(self._results),
            outputs=[
                record.output_tokens for result in self._results for record in _answered(result)
            ],
        )

    def _crowds(self) -> Iterator[ClosedLoad]:
        question, deployment = self._question, self._deployment
        sizes = {max(1, round(share * deployment.slots)) for share in CROWDS}
        for users in sorted(sizes):
            yield ClosedLoad(
                users * deployment.workers, question.prompt_tokens, question.max_tokens
            )

    def _points(self, crowds: Iterable[tuple[ClosedLoad, Result]]) -> Iterator[Point]:
        """Output tokens/s of a worker by the requests that it runs at once."""
        workers = self._deployment.workers
        for load, result in crowds:
            if not result.figures.output_tokens_per_s:
                raise Unbearable(
                    f"no answer ended within level {result.load.label}: give a longer --duration,"
                    " or shorter answers"
                )
            yield load.concurrency / workers, result.figures.output_tokens_per_s / workers

    def _likely(self, usl: Usl) -> float:
        """The highest rate that the model keeps: where to begin."""
        service, question = self.service(), self._question
        tokens = sum(service.outputs) / len(service.outputs)
        most = self._deployment.workers * usl.most(self._deployment.slots) / tokens
        low, high = LEAST_SHARE * most, 1.2 * most
        while high - low > question.precision / 2 * high:
            rate = (low + high) / 2
            load = question.load(rate, question.seed)
            found = self._predict(service, load, Stretch(question.warmup_s, 4 * question.seconds))
            low, high = (rate, high) if found.goodput >= question.objective else (low, rate)
        return (low + high) / 2

    async def _probes(self, rate: float) -> AsyncIterator[Level]:
        """Bisection, once one rate was kept and one was not."""
        least = LEAST_REQUESTS / self._question.seconds
        rate, low, high = max(rate, least), 0.0, inf
        for number in range(MOST_PROBES):
            level = await self._level(rate, self._question.seed + number, self._question.seconds)
            yield level
            low, high = (rate, high) if self._is_kept(level.measured) else (low, rate)
            if high <= max(low * (1 + self._question.precision), least):
                return
            rate = _between(low, high)

    async def _try_out(self, rate: float) -> list[Tried]:
        """In turn, so that a slow minute of the machine is not all that is seen of one rate."""
        shares, tries = self._question.held_out, self._question.tries
        levels = [
            await self._level(share * rate, 1000 + number, self._question.seconds)
            for number, share in enumerate([*shares] * tries)
        ]
        return [Tried(levels[index :: len(shares)]) for index in range(len(shares))]

    async def _level(self, rate: float, seed: int, seconds: float) -> Level:
        rate = float(f"{rate:.3g}")
        load, stretch = self._question.load(rate, seed), Stretch(self._question.warmup_s, seconds)
        service = self.service()
        predicted = self._predict(service, load, stretch)
        [measured] = await self._run([load], seconds)
        pace = service.machine.pace(measured.watched.steps or StepSums())
        return Level(
            rate, predicted, measured, pace, self._predict(service.slower(pace), load, stretch)
        )

    def _predict(self, service: Service, load: OpenLoad, stretch: Stretch) -> Prediction:
        return service.predict(load, stretch, self._deployment.workers, self._question.slo)

    async def _run(self, loads: Sequence[Load], seconds: float) -> list[Result]:
        results = list(await self._measure(loads, seconds))
        for result in results:
            self._require_same_fleet(result)
        self._results += results
        return results

    def _require_same_fleet(self, result: Result) -> None:
        sizes = {moment.workers for moment in result.watched.moments}
        if sizes - {self._deployment.workers}:
            raise Unbearable(
                f"there were {min(sizes)} to {max(sizes)} workers at level {result.load.label}:"
                " keep their number while this runs, as with `headrace scaler fix"
                f" {self._deployment.workers}`"
            )

    def _is_kept(self, result: Result) -> bool:
        return result.figures.goodput[Slo.name].share >= self._question.objective


def require_question(question: Question) -> None:
    """Raises `InvalidRequest`, naming the option."""
    if not all(0 < share < 1 for share in question.held_out):
        raise InvalidRequest("--held-out: shares of the capacity, each above 0 and below 1")


def _whole(workers: float) -> int:
    """Rounds up, but not for what the division of two rates has added."""
    return ceil(workers * (1 - ROUNDING))


def _between(low: float, high: float) -> float:
    if high == inf:
        return low * STEP
    return (low + high) / 2


def _overhead_s(result: Result) -> float:
    """Of a mean request: what the server says of tokenising and committing, and HTTP."""
    means = result.figures.stage_means_s
    return sum(means.get(name, 0.0) for name in (TOKENIZE, "commit", DELIVERY))


def _answered(result: Result) -> list[Record]:
    return [record for record in result.measurement.counted if record.succeeded]


def _mean_prompt(results: Sequence[Result]) -> float:
    lengths = [
        record.input_tokens
        for result in results
        for record in _answered(result)
        if record.input_tokens
    ]
    return sum(lengths) / len(lengths) if lengths else 1.0
