from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batcher import engine_choice
from batcher.engine_choice import choose_engine
from batcher.model_source import ModelSource
from headrace.core.settings import load_settings

GGUF = ModelSource("tiny", "gguf", Path("/somewhere/tiny.gguf"))
HUB = ModelSource("owner/name", "hub")


@pytest.fixture(autouse=True)
def _a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "_GPU_DEVICES", ())


def choice(source: ModelSource, **overrides: Any) -> str:
    return choose_engine(load_settings(**overrides), source)


def test_a_cpu_runs_a_gguf_file_with_openvino() -> None:
    assert choice(GGUF) == "openvino"


def test_a_cpu_runs_a_model_of_the_hub_with_torch() -> None:
    assert choice(HUB) == "torch"


def test_a_folder_is_openvinos_only_if_it_was_exported_for_it(tmp_path: Path) -> None:
    source = ModelSource("folder", "folder", tmp_path)
    assert choice(source) == "torch"
    (tmp_path / "openvino_model.xml").touch()
    assert choice(source) == "openvino"


def test_a_gpu_runs_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "_has_cuda", lambda: True)
    assert choice(GGUF) == "torch"


def test_without_openvino_torch_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "find_spec", lambda name: None)
    assert choice(GGUF) == "torch"


def test_an_engine_that_is_named_is_taken() -> None:
    for engine in ("torch", "openvino", "simulated"):
        assert choice(GGUF, engine=engine) == engine


def test_a_device_that_is_named_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choice(GGUF, device="cuda") == "torch"
    assert choice(GGUF, device="cuda:1") == "torch"
    monkeypatch.setattr(engine_choice, "_has_cuda", lambda: True)
    assert choice(GGUF, device="cpu") == "openvino"
