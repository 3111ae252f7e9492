"""A process that tries JSON schemas.

    python -m batcher.openvino_engine.schema_trial FOLDER PARENT S

It answers each schema with a verdict. It has the lowest priority and one core.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from batcher.background import step_back
from batcher.helper_side import prepare, serve
from batcher.schema_trial import judge
from headrace.core.json_schema.grammar.unheld import Unheld
from headrace.core.json_schema.grammar.writing import grammar_of

if TYPE_CHECKING:
    from batcher.openvino_engine.grammar_compiler import GrammarCompiler


class TrialCompiler:
    """Writes a schema's grammar and compiles it, as the engine does; keeps the newest."""

    def __init__(self, folder: Path) -> None:
        import openvino_genai  # takes a second

        from batcher.openvino_engine.grammar_compiler import GrammarCompiler

        tokenizer = openvino_genai.Tokenizer(folder)
        self._compiler: GrammarCompiler = GrammarCompiler(tokenizer, len(tokenizer.get_vocab()))
        self._grammar = ""

    def compile(self, schema: str) -> str | None:
        try:
            self._grammar = grammar_of(schema)
        except Unheld as error:
            return str(error)
        return self._compiler.compile(self._grammar)

    def token_times(self, schema: str) -> Iterator[float]:
        return self._compiler.token_times(self._grammar)


def main() -> None:
    folder, parent, limit_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    answers = prepare(parent)
    step_back()
    compiler = TrialCompiler(folder)
    serve(lambda schema: judge(schema, compiler, limit_s).encode(), answers)


if __name__ == "__main__":
    main()
