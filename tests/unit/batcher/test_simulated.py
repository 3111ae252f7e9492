from __future__ import annotations

import subprocess
import sys

import pytest

from batcher.simulated import SimulatedEngine
from headrace.core.model_card import ModelCard
from headrace.core.settings import load_settings
from headrace.core.types import TokenLogprobs
from tests.fakes import FakeClock
from tests.unit.batcher.driving import a_request, run_alone


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(card: ModelCard, clock: FakeClock) -> SimulatedEngine:
    settings = load_settings(
        simulated_alpha_s=1.0, simulated_beta_s=0.1, simulated_gamma_s=0.01, max_slots=2
    )
    return SimulatedEngine(settings, card, clock)


def test_a_step_takes_as_long_as_its_law_says(engine: SimulatedEngine, clock: FakeClock) -> None:
    engine.add(a_request("a", [40] * 5))
    engine.add(a_request("b", [40] * 3))
    engine.step()
    assert clock.now() == pytest.approx(1.0 + 2 * 0.1 + 8 * 0.01)
    engine.step()
    assert clock.now() == pytest.approx(2.48)


def test_resumed_ids_are_prefilled_too(engine: SimulatedEngine, clock: FakeClock) -> None:
    engine.add(a_request("a", [40] * 5), resume_ids=[41] * 4)
    engine.step()
    assert clock.now() == pytest.approx(1.1 + 9 * 0.01)


def test_a_request_that_needs_no_model_takes_no_time(
    engine: SimulatedEngine, clock: FakeClock
) -> None:
    run_alone(engine, a_request("a", []))
    run_alone(engine, a_request("b", [40], max_tokens=1), resume_ids=[41])
    assert clock.now() == 0


def test_it_repeats_the_prompt_without_its_ends_of_sequence(
    engine: SimulatedEngine, card: ModelCard
) -> None:
    eos = card.eos_token_ids[0]
    assert run_alone(engine, a_request("a", [40, eos, 41], 5)).ids == [40, 41, 40, 41, 40]
    assert run_alone(engine, a_request("b", [eos], 3)).ids == [3, 3, 3]


def test_with_an_ignored_end_of_sequence_it_makes_exactly_what_was_asked_for(
    engine: SimulatedEngine,
) -> None:
    assert len(run_alone(engine, a_request("a", [40, 41], 30, ignore_eos=True)).ids) == 30


def test_a_stop_token_of_the_prompt_comes_in_its_turn(engine: SimulatedEngine) -> None:
    assert run_alone(engine, a_request("a", [40, 41], 9, stop_token_ids=(41,))).ids == [40, 41]
    patient = a_request("b", [40, 41], 9, stop_token_ids=(41,), min_tokens=4)
    assert run_alone(engine, patient).ids == [40, 40, 40, 40, 40, 41]


def test_only_strong_biases_count(engine: SimulatedEngine) -> None:
    assert run_alone(engine, a_request("a", [40, 41], 3, logit_bias=((7, 5.0),))).ids == [
        40,
        41,
        40,
    ]
    assert run_alone(engine, a_request("b", [40, 41], 3, logit_bias=((7, 99.0),))).ids == [7, 7, 7]
    left_out = a_request("c", [40, 41], 3, logit_bias=((40, -100.0),))
    assert run_alone(engine, left_out).ids == [41, 41, 41]


def test_its_ids_are_certain(engine: SimulatedEngine) -> None:
    with_top = run_alone(engine, a_request("a", [40, 41], 3, logprobs=5))
    assert with_top.logprobs == [TokenLogprobs(id_, 0.0, top=((id_, 0.0),)) for id_ in with_top.ids]
    without = run_alone(engine, a_request("b", [40, 41], 3, logprobs=0))
    assert without.logprobs == [TokenLogprobs(id_, 0.0) for id_ in without.ids]


def test_who_asks_for_no_logprobs_gets_none(engine: SimulatedEngine) -> None:
    engine.add(a_request("a", [40], 1))
    assert [delta.logprobs for delta in engine.step()] == [None]


def test_an_ending_without_a_token_has_no_logprobs(engine: SimulatedEngine) -> None:
    engine.add(a_request("a", [], logprobs=2))
    assert [(delta.token_ids, delta.logprobs) for delta in engine.step()] == [((), ())]


def test_it_needs_no_torch() -> None:
    code = "import sys, batcher.engine, batcher.model_store; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
