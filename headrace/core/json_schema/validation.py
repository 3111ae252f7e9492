"""Check of a finished answer against the JSON schema that it has to fit."""

from __future__ import annotations

import json
from typing import Any, Never

from jsonschema_rs import ValidationError, Validator, validator_for

SHOWN = 200
"""Characters of a place in a schema that a complaint shows."""


class AnswerValidator:
    """Validates answers against one schema. Reads no other document, wherever a `$ref` points.

    `format` counts, where the validator knows it: a date that is none is no answer to a date.
    """

    def __init__(self, schema: str) -> None:
        """Raises `ValueError` where no validator can be made of the schema."""
        try:
            self._validator: Validator = validator_for(
                json.loads(schema), validate_formats=True, offline=True, mask="it"
            )
        except ValidationError as error:
            raise ValueError(f"no validator can be made of it: {error.message:.200}") from error

    def complaint(self, text: str) -> str | None:
        """Why an answer does not fit; None where it does. Quotes nothing of the answer."""
        try:
            answer = json.loads(text, parse_constant=_refuse)
        except RecursionError:
            return "it is nested too deeply"
        except ValueError:
            return "it is no JSON"
        try:
            error = next(self._validator.iter_errors(answer), None)
        except ValueError:
            return "it has half a surrogate pair"
        return None if error is None else f"it does not fit {_place(error.schema_path)}"


def _refuse(_constant: str) -> Never:
    """Python reads NaN and Infinity, which are no JSON."""
    raise ValueError


def _place(path: list[Any]) -> str:
    return ".".join(map(str, path))[:SHOWN] or "false"
