"""A process that tries JSON schemas.

    python -m batcher.openvino_engine.schema_trial FOLDER PARENT S

It answers each schema with a verdict. It has the lowest priority and one core.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from batcher.background import step_back
from batcher.helper_side import prepare, serve
from batcher.openvino_engine.json_schema import unheld
from batcher.schema_trial import judge
from headrace.core.json_schema.verdict import Verdict

if TYPE_CHECKING:
    from batcher.openvino_engine.grammar_compiler import GrammarCompiler


def main() -> None:
    folder, parent, limit_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    answers = prepare(parent)
    step_back()
    compiler = _load(folder)

    def answer(schema: str) -> str:
        refusal = unheld(schema)
        if refusal is not None:
            return Verdict(0.0, refusal=refusal).encode()
        return judge(schema, compiler, limit_s).encode()

    serve(answer, answers)


def _load(folder: Path) -> GrammarCompiler:
    import openvino_genai  # takes a second

    from batcher.openvino_engine.grammar_compiler import GrammarCompiler

    tokenizer = openvino_genai.Tokenizer(folder)
    return GrammarCompiler(tokenizer, len(tokenizer.get_vocab()))


if __name__ == "__main__":
    main()
