"""Trial of one JSON schema, in a helper process that may be lost over it.

A compile cannot be interrupted from within, nor can a step: what takes more CPU time than is
allowed ends the process (SIGPROF).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from batcher.helper_side import cpu_limit
from headrace.core.json_schema.validation import AnswerValidator
from headrace.core.json_schema.verdict import Verdict

DRAWN_TOKENS = 40
"""Beyond 128 copies of what it repeats, a grammar gets slow: some 20 tokens of text."""

OUTLIERS = 2


class Compiler(Protocol):
    """An engine's compiler of grammars, apart from the engine."""

    def compile(self, schema: str) -> str | None:
        """Returns why no grammar can be made of the schema; None where one was made."""

    def token_times(self, schema: str) -> Iterator[float]:
        """CPU times of an output's tokens, drawn at random.

        Raises `ValueError` where the grammar gives up.
        """


def judge(schema: str, compiler: Compiler, limit_s: float) -> Verdict:
    """Compiles the schema and draws tokens. CPU times are those of all threads of this process."""
    with cpu_limit(limit_s):
        began = time.process_time()
        refusal = compiler.compile(schema)
        compile_s = time.process_time() - began
    if refusal is not None:
        return Verdict(compile_s, refusal=refusal)
    try:
        with cpu_limit(limit_s):
            step_s = _step_s(compiler.token_times(schema))
            AnswerValidator(schema)
    except ValueError as error:
        return Verdict(compile_s, refusal=str(error))
    return Verdict(compile_s, step_s)


def _step_s(times: Iterator[float]) -> float:
    """CPU time of the slowest token, but for the two that chance made slowest."""
    longest = sorted(islice(times, 1, None), reverse=True)[: OUTLIERS + 1]
    return min(longest, default=0.0) if len(longest) > OUTLIERS else 0.0
