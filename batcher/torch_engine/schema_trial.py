"""A process that tries JSON schemas.

    python -m batcher.torch_engine.schema_trial PARENT S

The first line that it reads is the model card. It answers each schema with a verdict. It has the
lowest priority and one core, and loads neither torch nor the model.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator

import numpy as np

from batcher.background import step_back
from batcher.helper_side import prepare, read, serve
from batcher.schema_trial import DRAWN_TOKENS, judge
from batcher.torch_engine.grammar import Grammar, GrammarCompiler
from headrace.core.errors import InvalidRequest
from headrace.core.model_card import ModelCard


class TrialCompiler:
    """Compiles as the engine does, and keeps the newest grammar."""

    def __init__(self, card: ModelCard) -> None:
        self._compiler = GrammarCompiler(card, card.vocabulary_size)
        self._grammar: Grammar | None = None

    def compile(self, schema: str) -> str | None:
        try:
            self._grammar = self._compiler.compile(schema)
        except InvalidRequest as error:
            return str(error).removeprefix("json_schema: ")
        return None

    def token_times(self, schema: str) -> Iterator[float]:
        assert self._grammar is not None
        grammar, dice = self._grammar, random.Random(0)
        for _token in range(DRAWN_TOKENS):
            if grammar.matcher.is_stopped():
                break
            began = time.process_time()
            mask = grammar.matcher.compute_bitmask()
            seconds = time.process_time() - began
            allowed = _allowed(mask)
            if not allowed:
                raise ValueError("its grammar allows no output")
            grammar.advance([dice.choice(allowed)])
            yield seconds
        if (complaint := grammar.complaint) is not None:
            raise ValueError(f"its grammar gives up: {complaint}")


def _allowed(mask: bytes) -> list[int]:
    bits = np.unpackbits(np.frombuffer(mask, dtype=np.uint8), bitorder="little")
    return [int(token_id) for token_id in np.flatnonzero(bits)]


class NoGrammars:
    """Stands for a compiler that cannot read the model's tokenizer."""

    def __init__(self, reason: ValueError) -> None:
        self._complaint = f"the model's tokenizer has no grammars: {reason}"

    def compile(self, schema: str) -> str | None:
        return self._complaint

    def token_times(self, schema: str) -> Iterator[float]:
        return iter(())


def main() -> None:
    parent, limit_s = int(sys.argv[1]), float(sys.argv[2])
    answers = prepare(parent)
    step_back()
    compiler = _load(ModelCard.decode(read()))
    serve(lambda schema: judge(schema, compiler, limit_s).encode(), answers)


def _load(card: ModelCard) -> TrialCompiler | NoGrammars:
    try:
        return TrialCompiler(card)
    except ValueError as error:
        return NoGrammars(error)


if __name__ == "__main__":
    main()
