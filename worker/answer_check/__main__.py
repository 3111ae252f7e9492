"""A process that checks answers: `python -m worker.answer_check PARENT S`.

A question is a pair of schema and answer, and is answered by what speaks against the answer, or
null. A check that takes more than S seconds of CPU time ends the process.
"""

from __future__ import annotations

import json
import os
import sys
from functools import lru_cache

from batcher.helper_side import cpu_limit, prepare, serve
from headrace.core.json_schema.validation import AnswerValidator

LOW_PRIORITY = 10
"""Gets a tenth of a core beside the model's threads, and is woken at once."""

KEPT = 64
"""Validators, of which most take less than a millisecond to make."""


def main() -> None:
    answers, limit_s = prepare(int(sys.argv[1])), float(sys.argv[2])
    os.nice(LOW_PRIORITY)

    def check(question: tuple[str, str]) -> str:
        with cpu_limit(limit_s):
            return json.dumps(_complaint(*question))

    serve(check, answers)


def _complaint(schema: str, answer: str) -> str | None:
    try:
        return _validator(schema).complaint(answer)
    except ValueError as error:
        return str(error)


@lru_cache(KEPT)
def _validator(schema: str) -> AnswerValidator:
    return AnswerValidator(schema)


if __name__ == "__main__":
    main()
