"""The JSON-Schema-Test-Suite: each schema is held or refused, and none is broken in silence."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs

from headrace.core.json_schema.grammar.unheld import Unheld
from headrace.core.json_schema.grammar.writing import grammar_of, rules_of_grammar
from tests.grammar_matcher import GrammarMatcher
from tests.schemas.archive import Case
from tests.schemas.drawing import Drawer

MOST_REFUSED, LEAST_WRITTEN = 0.32, 0.85
"""Shares of the suite's schemas, and of the values that fit the others."""

DRAWS, MOST_TOKENS = 3, 200


def test_what_does_not_fit_a_schema_is_never_written(cases: list[Case]) -> None:
    refused, valid, written = [], 0, 0
    broken = []
    for case in cases:
        try:
            matcher = GrammarMatcher(rules_of_grammar(json.dumps(case.schema)))
        except Unheld as error:
            refused.append(f"{case.name}: {error}")
            continue
        for test in case.tests:
            is_written = matcher.matches(json.dumps(test["data"], ensure_ascii=False))
            valid += test["valid"]
            written += is_written and test["valid"]
            if is_written and not test["valid"]:
                broken.append(f"{case.name}: {test['description']}")
    print(*refused, sep="\n")
    print(f"{len(cases) - len(refused)} schemas held, {len(refused)} refused; of {valid} values")
    print(f"that fit the held ones {written} may be written")
    assert broken == []
    assert len(refused) < MOST_REFUSED * len(cases)
    assert written > LEAST_WRITTEN * valid


def test_what_the_pipeline_draws_fits(cases: list[Case], drawer: Drawer) -> None:
    drawn = 0
    for case in cases:
        try:
            grammar = grammar_of(json.dumps(case.schema))
        except Unheld:
            continue
        for seed in range(DRAWS):
            text = drawer.draw(grammar, seed, MOST_TOKENS)
            if text is not None:
                drawn += 1
                assert _fits(case.schema, json.loads(text)), (case.name, text)
    print(f"{drawn} outputs drawn, all fit")
    assert drawn > len(cases)


def _fits(schema: Any, value: Any) -> bool:
    return jsonschema_rs.validator_for(schema, validate_formats=True).is_valid(value)
