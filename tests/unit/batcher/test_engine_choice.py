from __future__ import annotations

from typing import Any

import pytest

from batcher import engine_choice
from batcher.engine_choice import choose_engine
from headrace.core.settings import load_settings


@pytest.fixture(autouse=True)
def _a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "_GPU_DEVICES", ())


def choice(**overrides: Any) -> str:
    return choose_engine(load_settings(**overrides))


def test_a_cpu_runs_openvino() -> None:
    assert choice() == "openvino"


def test_a_gpu_runs_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "_has_cuda", lambda: True)
    assert choice() == "torch"


def test_without_openvino_torch_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "find_spec", lambda name: None)
    assert choice() == "torch"


def test_an_engine_that_is_named_is_taken() -> None:
    for engine in ("torch", "openvino", "simulated"):
        assert choice(engine=engine) == engine


def test_a_device_that_is_named_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choice(device="cuda") == "torch"
    assert choice(device="cuda:1") == "torch"
    monkeypatch.setattr(engine_choice, "_has_cuda", lambda: True)
    assert choice(device="cpu") == "openvino"
