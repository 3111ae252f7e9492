"""What the torch engine alone promises of outputs under JSON schemas."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batcher.torch_engine.grammar import Grammar, GrammarCompiler
from headrace.core.json_schema.validation import AnswerValidator
from headrace.core.model_card import ModelCard
from headrace.core.types import Feature, FinishReason
from tests.unit.batcher.conftest import maker
from tests.unit.batcher.driving import MakeEngine, Output, a_request, drain, run_alone, take

PERSON = json.dumps(
    {
        "type": "object",
        "properties": {
            "größe": {"type": "integer", "minimum": 1, "maximum": 9},
            "ok": {"type": "boolean"},
        },
        "required": ["größe", "ok"],
        "additionalProperties": False,
    }
)


@pytest.fixture
def make_engine(card: ModelCard, tiny_gpt2: Path) -> MakeEngine:
    return maker("torch", card, tiny_gpt2)


@pytest.fixture
def held_up(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Compiles wait until it is set."""
    go_on, compile_ = threading.Event(), GrammarCompiler.compile

    def wait(compiler: GrammarCompiler, schema: str) -> Grammar:
        go_on.wait(20)
        return compile_(compiler, schema)

    monkeypatch.setattr(GrammarCompiler, "compile", wait)
    return go_on


@pytest.mark.parametrize("temperature", [0.0, 1.0, 3.0])
def test_no_output_is_blanks_up_to_its_limit(make_engine: MakeEngine, temperature: float) -> None:
    engine = make_engine()
    for seed in range(8):
        rules = {"temperature": temperature, "seed": seed, "json_schema": PERSON}
        engine.add(a_request(f"r{seed}", [40, 41], 200, **rules))
    for output in drain(engine).values():
        assert output.finish_reason is FinishReason.STOP
        assert AnswerValidator(PERSON).complaint(output.text) is None


def test_others_go_on_while_a_grammar_is_compiled(
    make_engine: MakeEngine, held_up: threading.Event
) -> None:
    engine = make_engine()
    engine.add(a_request("schema", [40], 60, json_schema=PERSON))
    engine.add(a_request("good", [40, 41], 5))
    outputs: dict[str, Output] = {}
    for _step in range(5):
        take(engine.step(), outputs)
    assert outputs["good"].is_over
    assert "schema" not in outputs

    held_up.set()
    assert drain(engine, outputs)["schema"].error is None


def test_a_step_that_has_only_a_grammar_to_wait_for_is_short(
    make_engine: MakeEngine, held_up: threading.Event
) -> None:
    engine = make_engine()
    engine.add(a_request("schema", [40], 60, json_schema=PERSON))
    assert engine.step() == []
    engine.abort("schema")
    assert engine.is_idle
    held_up.set()
    assert run_alone(engine, a_request("schema", [40], 60, json_schema=PERSON)).error is None


def test_an_ignored_end_of_sequence_goes_on_behind_the_grammar(make_engine: MakeEngine) -> None:
    rules: dict[str, Any] = {"json_schema": '{"const": true}', "ignore_eos": True}
    output = run_alone(make_engine(), a_request("a", [40], 9, **rules))
    assert (output.text, output.finish_reason) == ("true", FinishReason.LENGTH)
    assert len(output.ids) == 9


def test_a_least_number_of_tokens_breaks_no_schema(make_engine: MakeEngine) -> None:
    rules: dict[str, Any] = {"json_schema": '{"const": true}', "min_tokens": 7}
    output = run_alone(make_engine(), a_request("a", [40], 20, **rules))
    assert (output.text, output.finish_reason) == ("true", FinishReason.STOP)
    assert len(output.ids) >= 7


def test_logprobs_are_the_models_own(make_engine: MakeEngine) -> None:
    rules: dict[str, Any] = {"json_schema": '{"const": true}', "logprobs": 2}
    output = run_alone(make_engine(), a_request("a", [40], 20, **rules))
    assert len(output.logprobs) == len(output.ids)
    assert all(len(entry.top) == 2 and entry.logprob < 0 for entry in output.logprobs)


def test_a_model_without_an_end_of_sequence_holds_no_schema(
    make_engine: MakeEngine, card: ModelCard
) -> None:
    engine = make_engine(replace(card, eos_token_ids=()))
    assert Feature.JSON_SCHEMA not in engine.features
    output = run_alone(engine, a_request("a", [40], json_schema="{}"))
    assert "cannot hold output" in str(output.error)
