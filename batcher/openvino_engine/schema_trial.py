"""A process that tries JSON schemas.

    python -m batcher.openvino_engine.schema_trial FOLDER PARENT S

It says when it is ready, then reads a schema a line and answers with a verdict a line (JSON both).
A compile cannot be interrupted from within, nor can a step: what takes more than S seconds of CPU
time ends the process (SIGPROF). It has the lowest priority, one core, and ends with its parent.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from batcher.background import step_back
from headrace.core.json_schema.grammar.unheld import Unheld
from headrace.core.json_schema.grammar.writing import grammar_of
from headrace.core.json_schema.verdict import Verdict
from headrace.core.parent_death import end_with

if TYPE_CHECKING:
    from batcher.openvino_engine.grammar_compiler import GrammarCompiler

OUTLIERS = 2


def main() -> None:
    folder, parent, limit_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    end_with(parent, signal.SIGKILL)
    step_back()
    _go_first()
    answers = _own_output()
    compiler = _load(folder)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(_judge(json.loads(line), compiler, limit_s).encode(), file=answers, flush=True)


def _go_first() -> None:
    """Has the kernel end this process first where memory is short; Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):  # a container may not allow it, and only Linux knows it
        Path("/proc/self/oom_score_adj").write_text("1000")


def _own_output() -> TextIO:
    """Standard output for answers alone: libraries that print are sent to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _load(folder: Path) -> GrammarCompiler:
    import openvino_genai  # takes a second

    from batcher.openvino_engine.grammar_compiler import GrammarCompiler

    tokenizer = openvino_genai.Tokenizer(folder)
    return GrammarCompiler(tokenizer, len(tokenizer.get_vocab()))


def _judge(schema: str, compiler: GrammarCompiler, limit_s: float) -> Verdict:
    """CPU times are those of all threads of this process."""
    try:
        grammar = grammar_of(schema)
    except Unheld as error:
        return Verdict(0.0, refusal=str(error))
    with _limit(limit_s):
        began = time.process_time()
        refusal = compiler.compile(grammar)
        compile_s = time.process_time() - began
    if refusal is not None:
        return Verdict(compile_s, refusal=refusal)
    with _limit(limit_s):
        return Verdict(compile_s, _step_s(compiler.token_times(grammar)))


def _step_s(times: Iterator[float]) -> float:
    """CPU time of the slowest token, but for the two that chance made slowest."""
    longest = sorted(islice(times, 1, None), reverse=True)[: OUTLIERS + 1]
    return min(longest, default=0.0) if len(longest) > OUTLIERS else 0.0


@contextmanager
def _limit(limit_s: float) -> Iterator[None]:
    """Ends the process after so much CPU time within the block."""
    signal.setitimer(signal.ITIMER_PROF, limit_s)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)


if __name__ == "__main__":
    main()
