"""llama.cpp as its own benchmark runs it: `llama-batched-bench`, a process a run.

It makes its own prompts, of the lengths of ours, and neither samples nor decodes text; loading the
model does not count. On some processors its AMX code crashes (its issue 20824, open): there it runs
without, on the weights as the file has them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.engine_workloads import Prompt
from bench.peers.pipe import Answers, batch_reply, prompts_of, serve

PLAIN_WEIGHTS = "--no-repack"


def _load(arguments: argparse.Namespace) -> Answers:
    options = ["-t", arguments.threads, "-tb", arguments.threads, "-ub", arguments.step_tokens]
    command = [str(part) for part in (arguments.binary, "-m", arguments.model, *options)]
    if not runs(command):
        command.append(PLAIN_WEIGHTS)

    def batch(question: dict[str, Any]) -> dict[str, Any]:
        return run_batch(command, prompts_of(question))

    return {"batch": batch, "options": lambda _question: {"options": command[3:]}}


def runs(command: Sequence[str]) -> bool:
    """Whether it survives a few tokens."""
    try:
        run_program(command, prompt_tokens=8, output_tokens=2, rows=2)
    except RuntimeError:
        return False
    return True


def run_batch(command: Sequence[str], prompts: Sequence[Prompt]) -> dict[str, Any]:
    """All of them at once. Raises `ValueError` where they are not alike."""
    (size,) = {(len(prompt.ids), prompt.output_tokens) for prompt in prompts}
    line = run_program(command, *size, rows=len(prompts))
    return batch_reply(prompts, line["t_pp"] + line["t_tg"], steps=size[1])


def run_program(
    command: Sequence[str], prompt_tokens: int, output_tokens: int, rows: int
) -> dict[str, Any]:
    """What it says of one size; `t_pp` and `t_tg` are the seconds of prompts and of outputs.

    Raises `RuntimeError` where it fails.
    """
    context = rows * (prompt_tokens + output_tokens + 1)
    size = ["-npp", prompt_tokens, "-ntg", output_tokens, "-npl", rows, "-c", context]
    done = subprocess.run(
        [*command, *map(str, size), "--output-format", "jsonl"], capture_output=True, text=True
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"{Path(command[0]).name}: {done.returncode} {done.stderr[-500:]}")
    figures: dict[str, Any] = json.loads(lines[-1])
    return figures


if __name__ == "__main__":
    serve(_load)
