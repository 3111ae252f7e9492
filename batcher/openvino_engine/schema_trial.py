"""A process that tries JSON schemas.

    python -m batcher.openvino_engine.schema_trial FOLDER PARENT S

It says when it is ready, then reads a schema a line and answers with a verdict a line (JSON both).
A compile cannot be interrupted from within, nor can a step: what takes more than S seconds of CPU
time ends the process (SIGPROF). It has the lowest priority, one core, and ends with its parent.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from batcher.background import step_back
from batcher.helper_side import cpu_limit, prepare, serve
from batcher.openvino_engine.json_schema import unheld
from headrace.core.json_schema.verdict import Verdict

if TYPE_CHECKING:
    from batcher.openvino_engine.grammar_compiler import GrammarCompiler

OUTLIERS = 2


def main() -> None:
    folder, parent, limit_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    answers = prepare(parent)
    step_back()
    compiler = _load(folder)
    serve(lambda schema: _judge(schema, compiler, limit_s).encode(), answers)


def _load(folder: Path) -> GrammarCompiler:
    import openvino_genai  # takes a second

    from batcher.openvino_engine.grammar_compiler import GrammarCompiler

    tokenizer = openvino_genai.Tokenizer(folder)
    return GrammarCompiler(tokenizer, len(tokenizer.get_vocab()))


def _judge(schema: str, compiler: GrammarCompiler, limit_s: float) -> Verdict:
    """CPU times are those of all threads of this process."""
    refusal = unheld(schema)
    if refusal is not None:
        return Verdict(0.0, refusal=refusal)
    with cpu_limit(limit_s):
        began = time.process_time()
        refusal = compiler.compile(schema)
        compile_s = time.process_time() - began
    if refusal is not None:
        return Verdict(compile_s, refusal=refusal)
    with cpu_limit(limit_s):
        return Verdict(compile_s, _step_s(compiler.token_times(schema)))


def _step_s(times: Iterator[float]) -> float:
    """CPU time of the slowest token, but for the two that chance made slowest."""
    longest = sorted(islice(times, 1, None), reverse=True)[: OUTLIERS + 1]
    return min(longest, default=0.0) if len(longest) > OUTLIERS else 0.0


if __name__ == "__main__":
    main()
