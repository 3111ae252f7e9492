"""Rows of a model with longrope, against transformers with the same factors for every length."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from batcher.model_store import PreparedModel, prepare_model
from headrace.core.types import Request
from tests.integration.torch_engines import assert_greedy, engine_of, settings
from tests.tiny_models import CONTEXT_TOKENS, PHI3_WINDOW, make_tiny_phi3
from tests.unit.batcher.driving import Output, a_request, drain, run_alone, take

PROMPT_TOKENS = {
    "short": 3,
    "crosses the window while it decodes": PHI3_WINDOW - 8,
    "ends at the window": PHI3_WINDOW,
    "longer than the window": PHI3_WINDOW + 40,
    "nearly as long as the context": CONTEXT_TOKENS - 30,
    "short as well": 5,
}
OUTPUT_TOKENS = 24


@pytest.fixture(scope="module")
def phi3(tmp_path_factory: pytest.TempPathFactory) -> PreparedModel:
    folder = make_tiny_phi3(tmp_path_factory.mktemp("model") / "phi3")
    state_dir = tmp_path_factory.mktemp("state")
    return prepare_model(settings(model=str(folder), state_dir=state_dir), progress=print)


def requests(longest: int = CONTEXT_TOKENS) -> list[Request]:
    return [
        a_request(name, [7 + (11 * n * (place + 1)) % 300 for n in range(tokens)], OUTPUT_TOKENS)
        for place, (name, tokens) in enumerate(PROMPT_TOKENS.items())
        if tokens + OUTPUT_TOKENS <= longest
    ]


def model_with(prepared: PreparedModel, factors: str) -> Any:
    """transformers' model whose short and long factors are both `factors`."""
    config: Any = AutoConfig.from_pretrained(prepared.path)
    rope = config.rope_parameters
    rope["short_factor"] = rope["long_factor"] = rope[factors]
    return AutoModelForCausalLM.from_pretrained(prepared.path, config=config, dtype=torch.float32)


@pytest.mark.parametrize("prefill_tokens", [7, 512])
@pytest.mark.parametrize("steps_between", [0, 1, 9])
def test_rows_of_any_length_are_answered_as_if_alone(
    phi3: PreparedModel, prefill_tokens: int, steps_between: int
) -> None:
    engine = engine_of(phi3, prefill_tokens=prefill_tokens, max_slots=8)
    model = model_with(phi3, "long_factor")
    outputs: dict[str, Output] = {}
    for request in requests():
        engine.add(request)
        for _ in range(steps_between):
            take(engine.step(), outputs)
    drain(engine, outputs)
    for request in requests():
        assert_greedy(model, request.prompt_ids, outputs[request.id], OUTPUT_TOKENS)


def test_a_row_alone_crosses_the_window_with_the_factors_it_began_with(phi3: PreparedModel) -> None:
    engine, model = engine_of(phi3), model_with(phi3, "long_factor")
    for request in requests():
        output = run_alone(engine, request)
        assert_greedy(model, request.prompt_ids, output, OUTPUT_TOKENS)


def test_a_context_within_the_window_has_the_short_factors(phi3: PreparedModel) -> None:
    engine = engine_of(phi3, max_context_tokens=PHI3_WINDOW)
    model = model_with(phi3, "short_factor")
    for request in requests(PHI3_WINDOW):
        output = run_alone(engine, request)
        assert_greedy(model, request.prompt_ids, output, OUTPUT_TOKENS)


def test_the_two_sets_of_factors_give_different_answers(phi3: PreparedModel) -> None:
    long = run_alone(engine_of(phi3), requests()[0])
    short = run_alone(engine_of(phi3, max_context_tokens=PHI3_WINDOW), requests()[0])
    assert long.ids != short.ids


def test_an_unfrozen_model_would_be_noticed(
    phi3: PreparedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batcher.torch_engine.model.freeze_rope", lambda *_: None)
    engine = engine_of(phi3, max_slots=8)
    for request in requests():
        engine.add(request)
    outputs = drain(engine)
    model = model_with(phi3, "long_factor")
    with pytest.raises(AssertionError, match="instead of"):
        for request in requests():
            assert_greedy(model, request.prompt_ids, outputs[request.id], OUTPUT_TOKENS)
