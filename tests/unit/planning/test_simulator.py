"""The simulation beside a queue that is counted step by step."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headrace.loadtest.arrivals import arrivals
from headrace.planning.machine import Machine
from headrace.planning.simulator import Course, Outcome, simulate
from headrace.planning.static import Static
from headrace.planning.trace import Trace
from scaler.step_curve import StepCurve
from tests.reference_queue import ReferenceQueue

REFERENCE = ReferenceQueue(slots=16, alpha_s=0.03, beta_s=0.002)
MACHINE = Machine(StepCurve(REFERENCE.alpha_s, REFERENCE.beta_s, 0.0), REFERENCE.slots)
TOKENS, COUNT = 8, 400


def requests(rate: float) -> list[float]:
    law = arrivals("poisson", rate, 1.0, seed=3)
    return [next(law) for _request in range(COUNT)]


def serve(at: Sequence[float], machine: Machine = MACHINE, prompt: float = 0.0) -> Outcome:
    trace = Trace(at, [prompt] * len(at), [float(TOKENS)] * len(at), at[-1] + 100)
    return simulate(trace, Static(1), Course(machine, lambda _number: 1.0, 1, (1, 1)))


@pytest.mark.parametrize("rate", [5.0, 20.0, 32.0])
def test_latencies_are_those_of_single_steps(rate: float) -> None:
    """But for rows who let others in: those slow the present step down, not the next."""
    at = requests(rate)
    found = [end - begin for begin, end in zip(at, serve(at).ends, strict=True)]
    expected = REFERENCE.latencies(at, TOKENS)
    assert sum(found) == pytest.approx(sum(expected), rel=0.05)
    for share in (0.5, 0.95):
        rank = int(share * COUNT)
        assert sorted(found)[rank] == pytest.approx(sorted(expected)[rank], rel=0.05)


def test_a_first_token_comes_with_the_step_that_reads_the_prompt() -> None:
    machine = Machine(StepCurve(0.1, 0.0, 0.01), slots=2)
    outcome = serve([0.0, 0.0, 0.0], machine, prompt=10)
    assert outcome.firsts[:2] == pytest.approx([0.2, 0.3])
    assert outcome.firsts[2] > outcome.ends[0]


def test_who_comes_in_the_middle_of_a_step_waits_for_its_end() -> None:
    machine = Machine(StepCurve(0.1, 0.0, 0.0), slots=2)
    outcome = serve([0.0, 0.25], machine)
    assert outcome.firsts == pytest.approx([0.1, 0.4])
    assert outcome.ends == pytest.approx([0.8, 1.1])
