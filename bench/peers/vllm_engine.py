"""vLLM's own engine, in this process: its build for CPUs, compiled, its scheduler as it comes.

A step reads as many tokens as it does by itself. Nothing is detokenized, and no server stands
around it. Outputs end by length; `min_tokens` would only add work.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from bench.engine_workloads import Prompt
from bench.peers.pipe import Answers, serve
from bench.peers.stepping import Count, answers

CONTEXT_TOKENS = 4096


class VllmStepper:
    """`rules` makes the sampling parameters of a request from how many tokens it wants."""

    def __init__(self, engine: Any, rules: Callable[[int], Any]) -> None:
        self._engine = engine
        self._rules = rules
        self._names: set[str] = set()
        self._count = Count(0, 0)

    def add(self, name: str, prompt: Prompt) -> None:
        rules = self._rules(prompt.output_tokens)
        self._engine.add_request(name, {"prompt_token_ids": list(prompt.ids)}, rules)
        self._names.add(name)

    def step(self) -> Mapping[str, int]:
        if not self._names:
            raise RuntimeError("requests are missing: the engine has none left")
        outputs = self._engine.step()
        self._names -= {output.request_id for output in outputs if output.finished}
        self._count = Count(self._count.steps + 1, self._count.rows + len(outputs))
        return {output.request_id: len(output.outputs[0].token_ids) for output in outputs}

    def count(self) -> Count:
        return self._count

    def clear(self) -> None:
        self._engine.abort_request(list(self._names))
        self._names.clear()
        while self._engine.has_unfinished_requests():
            self._engine.step()


def log_probabilities(engine: Any, question: dict[str, Any]) -> dict[str, Any]:
    """Writes those of every token after each of `ids` but the last to `file`, a row for each.

    vLLM computes them all to report one of them; they are taken where it does.
    """
    import numpy as np
    from vllm import SamplingParams

    rules = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=1, detokenize=False)
    seen: list[Any] = []
    (model,) = engine.apply_model(lambda model: model)
    compute = model.compute_logits

    def compute_and_keep(*inputs: Any, **options: Any) -> Any:
        seen.append(compute(*inputs, **options))
        return seen[-1]

    model.compute_logits = compute_and_keep
    engine.add_request("scored", {"prompt_token_ids": question["ids"]}, rules)
    while engine.has_unfinished_requests():
        engine.step()
    del model.compute_logits  # the method of its class is back
    logits = max(seen, key=len).float()
    np.save(question["file"], logits.log_softmax(-1).numpy())
    return {"first": 0, "rows": len(logits), "ids": question["ids"]}


def _load(arguments: argparse.Namespace) -> Answers:
    from vllm import EngineArgs, SamplingParams
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.llm_engine import LLMEngine

    def rules(output_tokens: int) -> SamplingParams:
        return SamplingParams(
            temperature=0.0,
            max_tokens=output_tokens,
            ignore_eos=True,
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
        )

    engine = LLMEngine.from_engine_args(
        EngineArgs(
            model=str(arguments.model),
            dtype=arguments.dtype,
            max_model_len=CONTEXT_TOKENS,
            max_num_seqs=arguments.slots,
            enable_prefix_caching=True,
            disable_log_stats=True,
        )
    )
    return {
        **answers(VllmStepper(engine, rules)),
        "log_probabilities": lambda question: log_probabilities(engine, question),
    }


if __name__ == "__main__":
    serve(_load)
