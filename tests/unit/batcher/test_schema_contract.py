"""What every engine promises that holds output to JSON schemas."""

from __future__ import annotations

import json

import pytest

from headrace.core.json_schema.validation import AnswerValidator
from headrace.core.types import Delta, FinishReason
from tests.unit.batcher.driving import MakeEngine, a_request, drain, run_alone

NUMBER = json.dumps({"type": "integer", "minimum": 10, "maximum": 99})
PAIR = json.dumps(
    {"type": "array", "prefixItems": [{"type": "boolean"}] * 2, "minItems": 2, "maxItems": 2}
)


@pytest.mark.parametrize(
    "schema", ["{not json", '{"not": {}}', '{"$ref": "#/nowhere"}', '{"type": "nonsense"}']
)
def test_a_schema_that_no_grammar_can_be_made_of_fails_alone(
    make_schema_engine: MakeEngine, schema: str
) -> None:
    engine = make_schema_engine()
    expected = run_alone(engine, a_request("good", [40, 41]))
    engine.add(a_request("good", [40, 41]))
    engine.add(a_request("bad", [40, 41], json_schema=schema))
    outputs = drain(engine)
    assert str(outputs["bad"].error).startswith("json_schema: ")
    assert outputs["bad"].ids == []
    assert outputs["good"] == expected


def test_requests_whose_grammars_are_compiled_one_after_the_other_are_all_served(
    make_schema_engine: MakeEngine,
) -> None:
    engine = make_schema_engine()
    schemas = [json.dumps({"enum": [f"wheel {n % 5}"]}) for n in range(12)]
    for number, schema in enumerate(schemas):
        engine.add(a_request(f"r{number}", [40], max_tokens=40, json_schema=schema))
    outputs = drain(engine)
    assert [json.dumps({"enum": [json.loads(outputs[f"r{n}"].text)]}) for n in range(12)] == schemas


def test_a_property_may_be_called_like_a_keyword(make_schema_engine: MakeEngine) -> None:
    schema = {
        "type": "object",
        "properties": {"not": {"const": 1}},
        "required": ["not"],
        "additionalProperties": False,
    }
    request = a_request("a", [40], max_tokens=60, json_schema=json.dumps(schema))
    output = run_alone(make_schema_engine(), request)
    assert output.error is None


def test_a_resumed_output_still_fits_its_schema(make_schema_engine: MakeEngine) -> None:
    engine = make_schema_engine()
    request = a_request("a", [40, 41], max_tokens=20, json_schema=NUMBER)
    whole = run_alone(engine, request)
    assert 10 <= int(whole.text) <= 99
    rest = run_alone(engine, request, whole.ids[:1])
    assert whole.ids[:1] + rest.ids == whole.ids
    assert rest.finish_reason is FinishReason.STOP


def test_a_schema_that_the_published_ids_do_not_fit_is_given_up_on(
    make_schema_engine: MakeEngine,
) -> None:
    request = a_request("a", [40, 41], max_tokens=20, json_schema=NUMBER)
    engine = make_schema_engine()
    engine.add(request, [90, 91])
    deltas: list[Delta] = []
    while not deltas:
        deltas = engine.step()
    assert [delta.may_pass for delta in deltas] == [True]
    assert "cannot be continued under its json_schema" in str(deltas[0].error)
    assert run_alone(engine, a_request("later", [40])).error is None


@pytest.mark.parametrize("temperature", [0.0, 1.0, 3.0])
def test_each_row_fits_its_own_schema(make_schema_engine: MakeEngine, temperature: float) -> None:
    schemas = [NUMBER, None, json.dumps({"enum": ["wheel", "race"]})]
    engine = make_schema_engine()
    for seed, schema in enumerate(schemas):
        rules = {"temperature": temperature, "seed": seed, "json_schema": schema}
        engine.add(a_request(f"r{seed}", [40, 41], 60, **rules))
    outputs = drain(engine)
    for seed, schema in enumerate(schemas):
        if schema is not None:
            output = outputs[f"r{seed}"]
            assert output.finish_reason is FinishReason.STOP
            assert AnswerValidator(schema).complaint(output.text) is None


def test_a_neighbour_with_a_schema_changes_nothing(make_schema_engine: MakeEngine) -> None:
    engine = make_schema_engine()
    rules = {"temperature": 1.0, "seed": 5}
    expected = run_alone(engine, a_request("good", [40, 41], 20, **rules))
    engine.add(a_request("schema", [40, 41], 20, json_schema=PAIR))
    engine.add(a_request("good", [40, 41], 20, **rules))
    assert drain(engine)["good"] == expected


def test_an_output_that_its_limit_cuts_is_a_beginning_that_fits(
    make_schema_engine: MakeEngine,
) -> None:
    engine = make_schema_engine()
    whole = run_alone(engine, a_request("a", [40], 60, json_schema=PAIR))
    cut = run_alone(engine, a_request("a", [40], 4, json_schema=PAIR))
    assert (cut.ids, cut.finish_reason) == (whole.ids[:4], FinishReason.LENGTH)


def test_a_request_that_is_aborted_before_its_grammar_is_there_leaves_nothing(
    make_schema_engine: MakeEngine,
) -> None:
    engine = make_schema_engine()
    engine.add(a_request("gone", [40], json_schema=PAIR))
    engine.abort("gone")
    assert engine.is_idle
    assert run_alone(engine, a_request("gone", [40], 20, json_schema=NUMBER)).error is None
