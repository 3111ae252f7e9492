"""The torch engine on a GPU: the same code, so the same answers."""

from __future__ import annotations

import warnings

import pytest
import torch

from batcher.engine import load_engine
from batcher.model_store import PreparedModel
from batcher.torch_engine.engine import TorchEngine
from tests.integration.torch_engines import assert_greedy, engine_of, plain_model, settings
from tests.unit.batcher.driving import a_request, drain

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
PROMPTS = {f"r{n}": [40 + n, *range(50, 60 + 7 * n)] for n in range(6)}


def filled(tiny: PreparedModel, **rules: object) -> TorchEngine:
    engine = engine_of(tiny, device="cuda", prefill_tokens=64)
    for name, prompt in PROMPTS.items():
        engine.add(a_request(name, prompt, max_tokens=20, **rules))
    return engine


def test_greedy_output_on_a_gpu_is_that_of_generate(tiny: PreparedModel) -> None:
    outputs = drain(filled(tiny))
    model = plain_model(tiny)
    for name, prompt in PROMPTS.items():
        assert_greedy(model, prompt, outputs[name], max_tokens=20)


def test_the_self_check_passes_on_a_gpu(tiny: PreparedModel) -> None:
    own = settings(device="cuda", dtype="bfloat16")
    load_engine(own, PreparedModel("torch", tiny.path, tiny.card)).close()


def test_a_step_waits_for_the_gpu_once_however_many_rows_it_has(tiny: PreparedModel) -> None:
    rules = {"temperature": 0.8, "top_p": 0.9, "top_k": 30, "logprobs": 3, "presence_penalty": 0.5}
    engine = filled(tiny, **rules)
    for _ in range(3):
        engine.step()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as waits:
            warnings.simplefilter("always")
            engine.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len([wait for wait in waits if "synchronizing" in str(wait.message)]) == 1
