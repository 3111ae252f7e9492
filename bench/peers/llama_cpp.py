"""llama.cpp as its own benchmark runs it: `llama-batched-bench`, a process a run.

It makes its own prompts, of the lengths of ours, and neither samples nor decodes text; loading the
model does not count. Where it can, it lays the weights out anew for the processor (for AMX, or as
`CPU_REPACK`); where that crashes it runs on the weights as the file has them, and says so.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.engine_workloads import Prompt
from bench.peers.pipe import Answers, batch_reply, prompts_of, serve

PLAIN_WEIGHTS = "--no-repack"
REPORTING = ("--output-format", "jsonl", "-lv", "4")
"""A line of JSON at the end, and before it where the weights lie."""

PLAIN_BUFFERS = ("CPU", "CPU_Mapped")
"""Those whose weights are as in the file."""


@dataclass(frozen=True)
class Run:
    """`figures` is what it says of one size: `t_pp` and `t_tg` are the seconds of prompts and of
    outputs. `buffers` is where its weights lie, in MiB."""

    figures: Mapping[str, Any]
    buffers: Mapping[str, float]

    @property
    def is_repacked(self) -> bool:
        return any(name not in PLAIN_BUFFERS for name in self.buffers)


def _load(arguments: argparse.Namespace) -> Answers:
    options = ["-t", arguments.threads, "-tb", arguments.threads, "-ub", arguments.step_tokens]
    model = ["-m", arguments.model, *options]
    command, first = settle([str(part) for part in (arguments.binary, *model)])
    facts = {
        "options": command[3:],
        "weights_mib": dict(first.buffers),
        "is_repacked": first.is_repacked,
    }

    def batch(question: dict[str, Any]) -> dict[str, Any]:
        return run_batch(command, prompts_of(question))

    def score(question: dict[str, Any]) -> dict[str, Any]:
        from bench.peers.llama_logits import log_probabilities

        program = str(Path(command[0]).with_name("llama-perplexity"))
        file = Path(question["file"])
        return log_probabilities([program, *command[1:]], question["text"], question["ids"], file)

    return {"batch": batch, "options": lambda _question: facts, "log_probabilities": score}


def settle(command: Sequence[str]) -> tuple[list[str], Run]:
    """The command with which it survives a few tokens, and that run. Raises `RuntimeError`."""
    sizes = {"prompt_tokens": 8, "output_tokens": 2, "rows": 2}
    try:
        return list(command), run_program(command, **sizes)
    except RuntimeError:
        plain = [*command, PLAIN_WEIGHTS]
        return plain, run_program(plain, **sizes)


def run_batch(command: Sequence[str], prompts: Sequence[Prompt]) -> dict[str, Any]:
    """All of them at once. Raises `ValueError` where they are not alike."""
    (size,) = {(len(prompt.ids), prompt.output_tokens) for prompt in prompts}
    line = run_program(command, *size, rows=len(prompts)).figures
    return batch_reply(prompts, line["t_pp"] + line["t_tg"], steps=size[1])


def run_program(command: Sequence[str], prompt_tokens: int, output_tokens: int, rows: int) -> Run:
    """One run of one size. Raises `RuntimeError` where it fails."""
    context = rows * (prompt_tokens + output_tokens + 1)
    size = ["-npp", prompt_tokens, "-ntg", output_tokens, "-npl", rows, "-c", context]
    done = subprocess.run([*command, *map(str, size), *REPORTING], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"{Path(command[0]).name}: {done.returncode} {done.stderr[-500:]}")
    return Run(json.loads(lines[-1]), weight_buffers(done.stdout + done.stderr))


def weight_buffers(log: str) -> dict[str, float]:
    """MiB of weights by the name of the buffer that they lie in, as the program reports them."""
    found = re.findall(r"(\w+) model buffer size *= *([\d.]+) MiB", log)
    return {name: float(size) for name, size in found}


if __name__ == "__main__":
    serve(_load)
