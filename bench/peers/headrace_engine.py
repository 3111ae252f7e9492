"""Our engines, called directly. Their card has no end-of-sequence id: outputs end by length."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from batcher.engine import Engine
from bench.engine_model import load
from bench.engine_workloads import Prompt
from bench.peers.pipe import Answers, prompts_of, serve
from bench.peers.stepping import Count, answers, start_decoding
from headrace.core.settings import load_settings
from headrace.core.types import Request, Sampling

DECODE_STEPS = 24
PROFILED_STEPS = 5


class EngineStepper:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._names: set[str] = set()

    def add(self, name: str, prompt: Prompt) -> None:
        rules = Sampling(max_tokens=prompt.output_tokens, temperature=0.0)
        self._engine.add(Request(name, "", "", prompt.ids, rules))
        self._names.add(name)

    def step(self) -> Mapping[str, int]:
        if self._engine.is_idle:
            raise RuntimeError("requests are missing: the engine has none left")
        deltas = self._engine.step()
        for delta in deltas:
            if delta.error:
                raise RuntimeError(delta.error)
            if delta.is_last:
                self._names.discard(delta.request_id)
        return {delta.request_id: len(delta.token_ids) for delta in deltas}

    def count(self) -> Count:
        stats = self._engine.stats()
        return Count(stats.steps, stats.rows)

    def clear(self) -> None:
        for name in self._names:
            self._engine.abort(name)
        self._names.clear()


class Decoding:
    """A torch engine's decode step, and its matrix products alone."""

    def __init__(self, stepper: EngineStepper) -> None:
        self._stepper = stepper
        self._products: Callable[[], None] | None = None

    def step(self, question: dict[str, Any]) -> dict[str, Any]:
        """Seconds of a decode step of these rows; the median of some."""
        start_decoding(self._stepper, prompts_of(question))
        if self._products is None:
            self._products = matrix_products(self._stepper.step)
        seconds = _median_s(self._stepper.step)
        self._stepper.clear()
        return {"seconds": seconds}

    def profile(self, question: dict[str, Any]) -> dict[str, Any]:
        """What the operations of a decode step of these rows take."""
        start_decoding(self._stepper, prompts_of(question))
        milliseconds = operation_ms(self._stepper.step)
        self._stepper.clear()
        return {"milliseconds": milliseconds}

    def products(self, question: dict[str, Any]) -> dict[str, Any]:
        """Seconds of the products of one decode step. Raises `RuntimeError` before a step."""
        if self._products is None:
            raise RuntimeError("the products are those of a decode step: ask for one first")
        return {"seconds": _median_s(self._products)}


def matrix_products(step: Callable[[], object]) -> Callable[[], None]:
    """The products with weights that `step` does, as one call: same weights, inputs and order.

    What oneDNN adds to a product as it ends (a sum, a gate) is part of it.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    names = (
        "mkldnn::_linear_pointwise",
        "onednn::qlinear_pointwise",
        "aten::linear",
        "aten::mm",
        "aten::addmm",
    )
    calls: list[tuple[Any, Any, Any]] = []

    class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(
            self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if operator.name().partition(".")[0] in names:
                calls.append((operator, args, kwargs or {}))
            return operator(*args, **(kwargs or {}))

    with Recorder():  # type: ignore[no-untyped-call]
        step()

    def multiply() -> None:
        with torch.inference_mode():
            for operator, args, kwargs in calls:
                operator(*args, **kwargs)

    return multiply


def operation_ms(step: Callable[[], object]) -> dict[str, float]:
    """Where a step's time goes: milliseconds by operation, the largest first, without the rest."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _step in range(PROFILED_STEPS):
            step()
    spent = {
        event.key: round(event.self_cpu_time_total / PROFILED_STEPS / 1000, 3)
        for event in found.key_averages()
    }
    largest = sorted(spent.items(), key=lambda pair: pair[1], reverse=True)
    return dict(largest[:12])


def _median_s(act: Callable[[], object]) -> float:
    times = []
    for _time in range(DECODE_STEPS):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _load(arguments: argparse.Namespace) -> Answers:
    settings = load_settings(
        engine=arguments.engine,
        max_slots=arguments.slots,
        threads=arguments.threads,
        prefill_tokens=arguments.step_tokens,
    )
    engine = load(settings)
    stepper = EngineStepper(engine)
    if arguments.engine != "torch":
        return answers(stepper)
    decoding = Decoding(stepper)
    return {
        **answers(stepper),
        "decode": decoding.step,
        "profile": decoding.profile,
        "products": decoding.products,
    }


if __name__ == "__main__":
    serve(_load)
