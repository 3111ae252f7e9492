"""A process that tries JSON schemas: `python -m batcher.openvino_engine.schema_trial FOLDER S`.

It says when it is ready, then reads a schema a line and answers with a verdict a line (JSON both).
A compile cannot be interrupted from within: one that takes more than S seconds of CPU time ends the
process (SIGPROF). It has the lowest priority, and ends with its parent.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from batcher.openvino_engine.json_schema import unheld
from headrace.core.json_schema.verdict import Verdict

PR_SET_PDEATHSIG = 1
LOWEST_PRIORITY = 19

Compile = Callable[[str], str | None]


def main() -> None:
    folder, limit_s = Path(sys.argv[1]), float(sys.argv[2])
    _step_back()
    answers = _own_output()
    compile_grammar = _load(folder)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(_judge(json.loads(line), compile_grammar, limit_s).encode(), file=answers, flush=True)


def _step_back() -> None:
    """Takes the lowest priority and the parent's fate; Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(LOWEST_PRIORITY)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        Path("/proc/self/oom_score_adj").write_text("1000")


def _own_output() -> TextIO:
    """Standard output for answers alone: libraries that print are sent to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _load(folder: Path) -> Compile:
    import openvino_genai  # takes a second

    from batcher.openvino_engine.grammar_compiler import GrammarCompiler

    tokenizer = openvino_genai.Tokenizer(folder)
    return GrammarCompiler(tokenizer, len(tokenizer.get_vocab())).compile


def _judge(schema: str, compile_grammar: Compile, limit_s: float) -> Verdict:
    """The CPU time is that of all threads of this process."""
    refusal = unheld(schema)
    if refusal is not None:
        return Verdict(0.0, refusal)
    signal.setitimer(signal.ITIMER_PROF, limit_s)
    began = time.process_time()
    refusal = compile_grammar(schema)
    compile_s = time.process_time() - began
    signal.setitimer(signal.ITIMER_PROF, 0)
    return Verdict(compile_s, refusal)


if __name__ == "__main__":
    main()
