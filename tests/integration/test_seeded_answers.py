"""The same seed brings the same tokens, whatever runs beside a request, and when (fp32)."""

from __future__ import annotations

from typing import Any

import pytest

from batcher.model_store import PreparedModel
from headrace.core.types import Request
from tests.integration.torch_engines import engine_of
from tests.unit.batcher.driving import Output, a_request, drain, run_alone, take

PROMPT = range(20, 60)
RULES: dict[str, dict[str, Any]] = {
    "temperature": {"temperature": 1.3},
    "top-p": {"temperature": 0.9, "top_p": 0.9},
    "penalties": {
        "temperature": 1.0,
        "repetition_penalty": 1.2,
        "presence_penalty": 0.4,
        "frequency_penalty": 0.3,
    },
    "everything": {
        "temperature": 1.1,
        "top_k": 50,
        "top_p": 0.95,
        "min_p": 0.02,
        "repetition_penalty": 1.1,
        "frequency_penalty": 0.2,
        "logprobs": 3,
    },
}
MATES = [
    a_request("greedy", range(100, 240), 9),
    a_request("sampled", range(30, 50), 20, temperature=2.0, seed=5, logprobs=7),
    a_request("penalised", [7], 30, repetition_penalty=1.5, presence_penalty=1.0),
    a_request("cut", PROMPT, 14, temperature=1.0, top_k=3, top_p=0.5, seed=6),
]


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
def test_a_seeded_answer_is_the_same_whatever_runs_beside_it(
    tiny: PreparedModel, rules: dict[str, Any]
) -> None:
    request = a_request("ours", PROMPT, 24, seed=11, **rules)
    expected = run_alone(engine_of(tiny), request)
    for steps_before in (0, 1, 4, 11):
        for prefill_tokens in (7, 512):
            engine = engine_of(tiny, prefill_tokens=prefill_tokens, max_slots=5)
            assert_same(run_among(engine, request, steps_before), expected)


def run_among(engine: Any, request: Request, steps_before: int) -> Output:
    """Two mates come `steps_before` steps before the request, two as many behind it."""
    outputs: dict[str, Output] = {}
    for group in (MATES[:2], [request], MATES[2:]):
        for member in group:
            engine.add(member)
        for _ in range(steps_before):
            take(engine.step(), outputs)
    return drain(engine, outputs)[request.id]


def assert_same(output: Output, expected: Output) -> None:
    """Ids and text are equal; logprobs but for the rounding of a batch of another size."""
    assert output.ids == expected.ids
    assert output.text == expected.text
    logprobs = [entry.logprob for entry in output.logprobs]
    assert logprobs == pytest.approx([entry.logprob for entry in expected.logprobs], abs=1e-4)


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
def test_another_worker_continues_a_seeded_answer(
    tiny: PreparedModel, rules: dict[str, Any]
) -> None:
    request = a_request("ours", PROMPT, 24, seed=12, **rules)
    whole = run_alone(engine_of(tiny), request)
    continued = run_alone(engine_of(tiny), request, resume_ids=whole.ids[:9])
    assert continued.ids == whole.ids[9:]


def test_seeds_differ(tiny: PreparedModel) -> None:
    engine = engine_of(tiny)
    requests = [a_request("ours", PROMPT, 12, seed=seed, temperature=1.3) for seed in range(4)]
    answers = {tuple(run_alone(engine, request).ids) for request in requests}
    assert len(answers) == 4
