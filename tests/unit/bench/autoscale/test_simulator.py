"""Runs that can be counted by hand, and laws that every run keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from bench.autoscale.contenders import RULES
from bench.autoscale.course import make_course
from bench.autoscale.loads import LOADS
from bench.autoscale.score import longest_trouble, reversals, score
from headrace.planning.machine import Machine
from headrace.planning.policy_scaler import PolicyScaler
from headrace.planning.simulator import Course, Outcome, Span, simulate
from headrace.planning.static import Static
from headrace.planning.trace import Trace
from headrace.planning.view import View
from scaler.readings import Readings, Unknown
from scaler.step_curve import StepCurve, fit

MACHINE = Machine(StepCurve(0.1, 0.0, 0.01), slots=2)
"""A step takes 0.1 s whatever the rows; a prompt of 10 tokens delays it by 0.1 s."""


def trace(*requests: tuple[float, float, float], seconds: float = 100.0) -> Trace:
    """Of requests of (arrival, prompt tokens, output tokens)."""
    arrivals, prompts, outputs = np.array(requests).T
    return Trace(arrivals, prompts, outputs, seconds)


def course(first: int = 1, cold_s: float = 10.0, **changes: object) -> Course:
    return make_course(MACHINE, cold_s, first, **changes)  # type: ignore[arg-type]


@dataclass
class Plan:
    """Sizes by moment."""

    sizes: dict[float, int]
    is_ours: bool = False
    every_s: float = 1.0

    def __post_init__(self) -> None:
        self.views: list[View] = []

    def size(self, view: View) -> int:
        self.views.append(view)
        return self.sizes.get(view.now, view.desired)


def run(requests: Trace, plan: Plan, of: Course) -> Outcome:
    return simulate(requests, plan, of)


def test_a_request_alone_takes_its_prompt_and_its_steps() -> None:
    outcome = run(trace((1.0, 10, 20)), Plan({}), course())

    assert outcome.ends == [pytest.approx(1.0 + 0.1 + 20 * 0.1)]


def test_a_prompt_that_enters_delays_the_rows_that_decode() -> None:
    outcome = run(trace((0.0, 0, 20), (1.0, 50, 5)), Plan({}), course())

    assert outcome.ends[1] == pytest.approx(1.0 + 0.5 + 0.5)
    assert outcome.ends[0] == pytest.approx(2.0 + 0.5)


def test_who_finds_no_slot_waits_for_one() -> None:
    outcome = run(trace((0.0, 0, 10), (0.0, 0, 20), (0.5, 0, 10)), Plan({}), course())

    assert outcome.ends == pytest.approx([1.0, 2.0, 2.0])


def test_rows_slow_one_another_down_by_the_step_curve() -> None:
    slow = Machine(StepCurve(0.1, 0.1, 0.0), slots=2)
    outcome = simulate(trace((0.0, 0, 10), (0.0, 0, 20)), Plan({}), make_course(slow, 10.0, 1))

    assert outcome.ends == pytest.approx([3.0, 3.0 + 2.0])


def test_a_new_worker_takes_the_queue_once_it_is_ready() -> None:
    requests = trace((0.0, 0, 600), (0.0, 0, 600), (1.0, 0, 10))
    outcome = run(requests, Plan({2.0: 2}), course())

    assert 2 + 9 + 1 <= outcome.ends[2] <= 2 + 11 + 1


def test_worker_seconds_count_from_spawn_to_the_end() -> None:
    outcome = run(trace((0.0, 0, 1)), Plan({20.0: 3, 60.0: 1}), course())

    assert outcome.worker_s == pytest.approx(100 + 2 * 40)
    assert outcome.sizes == [(0.0, 1), (20.0, 3), (60.0, 1)]


def test_others_kill_a_worker_that_is_busy_after_its_grace() -> None:
    requests = trace((0.0, 0, 500), (0.0, 0, 500), (0.0, 0, 500))
    outcome = run(requests, Plan({1.0: 1}), course(first=2))

    assert outcome.busy_kills == 1
    assert np.isfinite(outcome.ends).all()


def test_ours_waits_until_a_worker_is_idle() -> None:
    requests = trace((0.0, 0, 500), (0.0, 0, 500), (0.0, 0, 500))
    outcome = run(requests, Plan({1.0: 1}, is_ours=True), course(first=2))

    assert outcome.busy_kills == 0
    assert max(outcome.ends) == pytest.approx(50.0)
    assert outcome.worker_s == pytest.approx(100 + 50, abs=1)


def test_a_draining_worker_takes_nothing_and_can_be_called_back() -> None:
    requests = trace((0.0, 0, 500), (0.0, 0, 500), (3.0, 0, 500), (3.0, 0, 10))
    plan = Plan({1.0: 1, 5.0: 2}, is_ours=True)
    outcome = run(requests, plan, course(first=2))

    assert outcome.ends[3] == pytest.approx(5.0 + 1.0)
    assert len(outcome.sizes) == 3


def test_workers_die_as_they_come_while_they_crash() -> None:
    plan = Plan({2.0: 2}, is_ours=True)
    run(trace((0.0, 0, 1)), plan, course(crashes=Span(0, 40)))
    deaths = [view.reading.deaths for view in plan.views if isinstance(view.reading, Readings)]

    assert 2 <= len(deaths[-1]) <= 3
    assert plan.views[-1].ready == 2


def test_in_an_outage_ours_reads_nothing_and_others_are_not_asked() -> None:
    ours, other = Plan({}, is_ours=True), Plan({})
    for plan in (ours, other):
        run(trace((0.0, 0, 1)), plan, course(outage=Span(10, 20)))

    assert [view.now for view in ours.views if isinstance(view.reading, Unknown)] == list(
        range(10, 20)
    )
    assert not {view.now for view in other.views} & set(range(10, 20))


def test_the_steps_that_ours_reads_lie_on_the_curve() -> None:
    curve = StepCurve(0.02, 0.002, 0.001)
    machine = Machine(curve, slots=8)
    draw = np.random.default_rng(0)
    arrivals = np.sort(draw.uniform(0, 100, 60))
    requests = Trace(arrivals, draw.uniform(10, 90, 60), draw.uniform(10, 90, 60), 100.0)
    plan = Plan({}, is_ours=True)
    simulate(requests, plan, make_course(machine, 10.0, 1))
    reading = plan.views[-1].reading

    assert isinstance(reading, Readings)
    found = fit(reading.steps)
    assert found is not None
    assert found.alpha == pytest.approx(curve.alpha, rel=0.01)
    assert found.beta == pytest.approx(curve.beta, rel=0.01)
    assert found.gamma == pytest.approx(curve.gamma, rel=0.01)


def test_littles_law_holds() -> None:
    """Jobs in the system, as a policy sees them, are their rate times their time in it."""
    draw = np.random.default_rng(1)
    arrivals = np.sort(draw.uniform(0, 2000, 1500))
    requests = Trace(arrivals, np.zeros(1500), draw.uniform(1, 40, 1500), 2000.0)
    plan = Plan({}, every_s=0.5)
    outcome = run(requests, plan, course(first=2))

    inside = np.mean([view.waiting + view.running for view in plan.views if view.now < 2000])
    rate_times_stay = (np.array(outcome.ends) - requests.arrivals).sum() / 2000
    assert inside == pytest.approx(rate_times_stay, rel=0.02)


@pytest.mark.parametrize("name", ["spike", "gamma-5", "crash-loop", "outage"])
def test_the_same_seed_gives_the_same_run(name: str) -> None:
    load, machine = LOADS[name], Machine(StepCurve(0.03, 0.0003, 0.0009), slots=32)

    def once() -> Outcome:
        of = make_course(machine, 30.0, 2, 7, load.outage, load.crashes)
        return simulate(load.draw(machine, 7), PolicyScaler(RULES), of)

    first, second = once(), once()
    assert first.ends == second.ends
    assert (first.sizes, first.worker_s) == (second.sizes, second.worker_s)


def test_a_second_in_which_a_request_came_that_ended_late_is_one_of_violation() -> None:
    requests = trace((0.2, 0, 10), (0.7, 0, 10), (5.0, 0, 10))
    ends = [0.2 + 2.4, 0.7 + 2.6, np.inf]
    figures = score(Outcome(requests, [], ends, sizes=[(0.0, 1)]), MACHINE)

    assert figures.slo_violation_s == 2
    assert figures.attainment == pytest.approx(1 / 3)


def test_what_no_worker_could_do_in_time_is_not_counted() -> None:
    requests = trace((0.0, 1000, 10), (1.0, 0, 10))
    figures = score(Outcome(requests, [], [50.0, 2.0], sizes=[(0.0, 1)]), MACHINE)

    assert (figures.attainment, figures.slo_violation_s) == (1.0, 0.0)


def test_reversals_are_turns_of_the_size() -> None:
    assert reversals([1, 2, 4, 4]) == 0
    assert reversals([1, 4, 2, 1, 3]) == 2


def test_bad_seconds_near_to_one_another_are_one_trouble() -> None:
    assert longest_trouble([3.0, 4.0, 9.0, 40.0]) == 7.0
    assert longest_trouble([]) == 0.0


def test_a_static_fleet_stays() -> None:
    outcome = simulate(trace((0.0, 0, 1)), Static(3), course(first=3))

    assert outcome.sizes == [(0.0, 3)]
