"""How a contender is asked and answers: a line of JSON in, a line of JSON out.

What libraries print to standard output goes to standard error instead.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.engine_workloads import Prompt

Answers = Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]
"""What a contender can be asked to do; each takes the fields of the question."""


def serve(
    load: Callable[[argparse.Namespace], Answers],
    parse: Callable[[], argparse.Namespace] | None = None,
) -> None:
    """Loads, says `ready`, and answers until standard input ends.

    `parse` reads the options of those that run no batches.
    """
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    started = time.perf_counter()
    answers = load((parse or _parse)())
    _send(replies, {"ready": True, "load_s": time.perf_counter() - started})
    for line in sys.stdin:
        question = json.loads(line)
        _send(replies, answers[question.pop("do")](question))
    os._exit(0)  # libraries leave threads that never end


def prompts_of(question: Mapping[str, Any]) -> list[Prompt]:
    return [Prompt.decode(fields) for fields in question["prompts"]]


def batch_reply(
    prompts: Sequence[Prompt],
    seconds: float,
    steps: int | None = None,
    occupancy: float | None = None,
) -> dict[str, Any]:
    """Only the tokens that were asked for count."""
    return {
        "prompt_tokens": sum(len(prompt.ids) for prompt in prompts),
        "output_tokens": sum(prompt.output_tokens for prompt in prompts),
        "seconds": seconds,
        "steps": steps,
        "occupancy": occupancy,
    }


def _send(replies: Any, reply: Mapping[str, Any]) -> None:
    replies.write(json.dumps(reply) + "\n")
    replies.flush()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, help="a folder, or a GGUF file")
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--step-tokens", type=int, required=True, help="a step reads at most")
    parser.add_argument("--engine", help="of Headrace")
    parser.add_argument("--dtype", help="of vLLM")
    parser.add_argument("--binary", type=Path, help="llama-batched-bench")
    return parser.parse_args()
