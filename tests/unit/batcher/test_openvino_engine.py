"""What is OpenVINO's alone: its cache, its grammar, and what it makes of a published beginning."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from batcher.engine import load_engine
from batcher.model_store import PreparedModel
from batcher.openvino_engine.engine import OpenVinoEngine
from headrace.core.errors import EngineError, ModelError
from headrace.core.model_card import ModelCard
from headrace.core.settings import load_settings
from headrace.core.types import Room
from tests.unit.batcher.driving import Output, a_request, drain, run_alone, take


@pytest.fixture
def make_engine(card: ModelCard, tiny_openvino: Path) -> Any:
    def make(**overrides: Any) -> OpenVinoEngine:
        defaults = {"dtype": "float32", "threads": 1, "max_slots": 4, "prefill_tokens": 16}
        own_settings = load_settings(**defaults | overrides)
        engine = load_engine(own_settings, PreparedModel("openvino", tiny_openvino, card))
        assert isinstance(engine, OpenVinoEngine)
        return engine

    return make


class BrokenRunner:
    """The pipeline, whose next step raises."""

    def __init__(self, engine: OpenVinoEngine, error: Exception) -> None:
        self._runner = engine._runner
        self._error: Exception | None = error
        engine._runner = self

    def step(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
        self._runner.step()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ("{not json", "not JSON"),
        ('{"type": "array", "uniqueItems": true}', "#/uniqueItems: that items differ"),
        ('{"anyOf": [{"not": {}}]}', "no value fits"),
        ('{"type": "nonsense"}', "no JSON schema: type"),
        ('{"$ref": "#/nowhere"}', "#/$ref: #/nowhere: no such schema"),
    ],
)
def test_a_schema_that_no_grammar_can_be_made_of_fails_alone(
    make_engine: Any, schema: str, complaint: str
) -> None:
    engine = make_engine()
    expected = run_alone(engine, a_request("good", [40, 41]))
    outputs: dict[str, Output] = {}
    engine.add(a_request("good", [40, 41]))
    take(engine.step(), outputs)
    engine.add(a_request("bad", [40, 41], json_schema=schema))
    drain(engine, outputs)
    assert str(outputs["bad"].error).startswith("json_schema: ")
    assert complaint in str(outputs["bad"].error)
    assert outputs["good"] == expected


def test_others_go_on_while_a_grammar_is_compiled(make_engine: Any) -> None:
    schema = json.dumps({"type": "string", "maxLength": 100})
    engine = make_engine()
    outputs: dict[str, Output] = {}
    engine.add(a_request("good", [40, 41], max_tokens=100))
    take(engine.step(), outputs)
    engine.add(a_request("schema", [40, 41], max_tokens=3, json_schema=schema))
    take(engine.step(), outputs)
    take(engine.step(), outputs)
    assert "schema" not in outputs
    assert len(outputs["good"].ids) == 3
    drain(engine, outputs)
    assert len(outputs["schema"].ids) == 3


@pytest.mark.parametrize(
    "penalty", [{"repetition_penalty": 1.9}, {"presence_penalty": 2.0}, {"frequency_penalty": 2.0}]
)
def test_penalties_change_what_is_said_and_a_resume_heeds_them(
    make_engine: Any, penalty: dict[str, float]
) -> None:
    engine = make_engine()
    plain = run_alone(engine, a_request("a", [40, 41], max_tokens=60))
    request = a_request("a", [40, 41], max_tokens=60, **penalty)
    whole = run_alone(engine, request)
    assert whole.ids != plain.ids
    rest = run_alone(engine, request, whole.ids[:7])
    assert whole.ids[:7] + rest.ids == whole.ids


def test_a_step_reads_half_of_the_prompt_tokens(make_engine: Any) -> None:
    engine = make_engine(prefill_tokens=16)
    engine.add(a_request("long", range(40, 70), max_tokens=1))
    steps = 1
    while not engine.step():
        steps += 1
    assert steps == 4


def test_a_cache_for_few_tokens_lets_requests_wait(make_engine: Any) -> None:
    engine = make_engine(kv_cache_gb=100e-6)  # 12 blocks: one whole context, and a half
    assert engine.room() == Room(4, 256)
    expected = run_alone(engine, a_request("solo", range(40, 240), max_tokens=50))
    for name in "abc":
        engine.add(a_request(name, range(40, 240), max_tokens=50))
    assert engine.room() == Room(1, 256 - 3 * 250)
    assert list(drain(engine).values()) == [expected] * 3


@pytest.mark.parametrize("gigabytes", [50e-6, 1e6])
def test_a_cache_that_cannot_be_is_refused_by_name(make_engine: Any, gigabytes: float) -> None:
    with pytest.raises(ModelError, match="HEADRACE_KV_CACHE_GB"):
        make_engine(kv_cache_gb=gigabytes)


@pytest.mark.parametrize(
    "error", [MemoryError("std::bad_alloc"), RuntimeError("could not allocate")]
)
def test_a_lack_of_memory_may_pass(make_engine: Any, error: Exception) -> None:
    engine = make_engine()
    expected = run_alone(engine, a_request("later", [40, 41]))
    engine.add(a_request("a", [40, 41]))
    engine.add(a_request("b", [42, 43]))
    engine.step()
    BrokenRunner(engine, error)
    deltas = engine.step()
    assert [(delta.error, delta.may_pass) for delta in deltas] == [
        ("the engine ran out of memory", True)
    ] * 2
    assert run_alone(engine, a_request("later", [40, 41])) == expected


def test_a_step_that_breaks_ends_the_engine(make_engine: Any) -> None:
    engine = make_engine()
    engine.add(a_request("a", [40, 41]))
    BrokenRunner(engine, RuntimeError("shapes do not match"))
    with pytest.raises(EngineError, match="shapes do not match"):
        engine.step()
    engine.close()


def test_prompts_that_begin_alike_are_never_mixed_up(make_engine: Any) -> None:
    """With what the pipeline gives out of its prefix cache, unguarded, a third of these were."""
    engine, solo = make_engine(), make_engine(prefix_caching=False)
    for seed in range(12):
        numbers = random.Random(seed)
        start = [numbers.randrange(3, 300) for _ in range(numbers.randrange(10, 60))]
        chat = start + run_alone(engine, a_request("first", start, max_tokens=8)).ids
        outputs: dict[str, Output] = {}
        requests = [
            a_request(f"r{n}", [*chat, *(numbers.randrange(3, 300) for _ in range(10))], 8)
            for n in range(4)
        ]
        for request in requests:
            engine.add(request)
            for _ in range(numbers.randrange(3)):
                take(engine.step(), outputs)
            if numbers.random() < 0.2:
                engine.abort(request.id)
                outputs.pop(request.id, None)
        drain(engine, outputs)
        for request in requests:
            if request.id in outputs:
                assert outputs[request.id] == run_alone(solo, request)
