"""Folders of safetensors on OpenVINO: families, forms, contexts, and what is torch's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    SmolLM3Config,
)

from batcher.engine import load_engine
from batcher.exported import Exported
from batcher.fidelity.comparison import compare
from batcher.fidelity.reference import reference_logprobs
from batcher.model_store import PreparedModel, prepare_model
from batcher.openvino_engine import self_check
from batcher.openvino_engine.export.folder import export_folder
from batcher.openvino_engine.paged_logits import paged_logits
from batcher.openvino_engine.pipeline import FLOAT32
from headrace.core.errors import ModelError
from headrace.core.settings import load_settings
from tests.integration.torch_engines import assert_greedy
from tests.tiny_models import (
    CONTEXT_TOKENS,
    MAKERS,
    PHI3_WINDOW,
    SIZES,
    make_tiny,
    make_tiny_diffllama,
    make_tiny_llama,
    make_tiny_phi3,
)
from tests.unit.batcher.driving import a_request, run_alone
from worker.loading import load

GROUPED = SIZES | {"num_key_value_heads": 2}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
FAMILIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "llama 3": (LlamaConfig, GROUPED | {"rope_parameters": LLAMA3_ROPE}),
    "tied embeddings": (LlamaConfig, GROUPED | {"tie_word_embeddings": True}),
    "mistral": (MistralConfig, GROUPED | {"sliding_window": None}),
    "smollm3": (SmolLM3Config, GROUPED),
    "granite": (GraniteConfig, GROUPED),
    "olmo2": (Olmo2Config, GROUPED),
    "gemma": (GemmaConfig, GROUPED | {"head_dim": 16}),
}
IDS = [*range(40, 240), *range(3, 40)]
Prepare = Callable[..., PreparedModel]


@pytest.fixture
def stages() -> list[str]:
    return []


@pytest.fixture
def prepare(tmp_path: Path, stages: list[str]) -> Prepare:
    def call(model: Path, **overrides: Any) -> PreparedModel:
        own = load_settings(model=str(model), state_dir=tmp_path / "state", **overrides)
        return prepare_model(own, stages.append)

    return call


@pytest.mark.parametrize("family", [*FAMILIES, "llama", "qwen2", "qwen3", "neox", "phi3"])
def test_every_family_answers_as_in_transformers(tmp_path: Path, family: str) -> None:
    if family in FAMILIES:
        source = make_tiny(*FAMILIES[family], tmp_path / "tiny")
    else:
        source = {**MAKERS, "phi3": make_tiny_phi3}[family](tmp_path / "tiny")
    settings = load_settings(max_context_tokens=CONTEXT_TOKENS)
    export_folder(settings, "tiny", source, tmp_path / "exported", "bfloat16", print)
    reference = reference_logprobs(source, IDS, CONTEXT_TOKENS)
    logits = paged_logits(tmp_path / "exported", dict(FLOAT32), IDS)
    assert compare(reference, logits, IDS[1:]).kl <= 0.003  # its weights have 16 bits


def test_auto_takes_openvino_for_a_folder_and_greedy_texts_are_those_of_generate(
    tmp_path: Path, prepare: Prepare
) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    in_16_bits(folder)
    prepared = prepare(folder, dtype="float32")
    assert prepared.engine == "openvino"
    settings = load_settings(dtype="float32", max_slots=4, threads=1)
    exported = tmp_path / "exported"
    export_folder(settings, "tiny", folder, exported, "bfloat16", print)
    engine = load_engine(settings, PreparedModel("openvino", exported, prepared.card))
    ids = list(range(40, 60))
    output = run_alone(engine, a_request("a", ids, max_tokens=24, temperature=0.0))
    engine.close()
    assert_greedy(AutoModelForCausalLM.from_pretrained(folder).float(), ids, output, 24)


def test_the_second_time_reads_alone(tmp_path: Path, prepare: Prepare, stages: list[str]) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    first = prepare(folder)
    assert "exporting its weights as int8" in stages
    stages.clear()
    assert prepare(folder) == first
    assert stages == []


def test_the_most_compressed_form_that_is_near_enough_is_taken(
    tmp_path: Path, prepare: Prepare, stages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batcher.fidelity.measuring.MOST_KL", 0.002)
    prepared = prepare(make_tiny_llama(tmp_path / "tiny"), dtype="float32")
    assert prepared.engine == "openvino"
    assert prepared.fidelity is not None and prepared.fidelity.kl is not None
    assert prepared.fidelity.kl <= 0.002
    assert Exported.read(prepared.path) != Exported("int8")
    assert any("is tried" in stage for stage in stages)


def test_a_folder_of_which_no_form_is_near_enough_is_torchs(
    tmp_path: Path, prepare: Prepare, stages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batcher.openvino_engine.export.weights.MOST_CODE", 3)
    monkeypatch.setitem(_forms(), "bfloat16", _forms()["int8"])
    folder = make_tiny_llama(tmp_path / "tiny")
    assert prepare(folder).engine == "torch"
    assert any("torch is tried" in stage for stage in stages)
    with pytest.raises(ModelError, match="does not answer as model tiny does"):
        prepare(folder, engine="openvino")


def test_a_model_whose_attention_openvino_does_not_recognise_is_torchs(
    tmp_path: Path, prepare: Prepare
) -> None:
    folder = make_tiny_diffllama(tmp_path / "tiny")
    with pytest.raises(ModelError, match="exported for OpenVINO, but not compared"):
        prepare(folder, engine="openvino")
    assert prepare(folder).engine == "torch"


def test_frozen_frequencies_are_those_of_the_context(
    tmp_path: Path, prepare: Prepare, stages: list[str]
) -> None:
    folder = make_tiny_phi3(tmp_path / "tiny")
    for context_tokens in (PHI3_WINDOW, CONTEXT_TOKENS):
        stages.clear()
        prepared = prepare(folder, max_context_tokens=context_tokens, engine="openvino")
        exported = Exported.read(prepared.path)
        assert exported is not None and exported.context_tokens == context_tokens
        assert "exporting the model for OpenVINO" in stages


def test_windows_smaller_than_the_context_are_refused(tmp_path: Path, prepare: Prepare) -> None:
    folder = make_tiny(MistralConfig, GROUPED | {"sliding_window": 32}, tmp_path / "tiny")
    with pytest.raises(ModelError, match="windows of 32 tokens"):
        prepare(folder, engine="openvino")
    assert prepare(folder, engine="openvino", max_context_tokens=32).engine == "openvino"


def test_a_quantised_folder_is_refused_by_name(tmp_path: Path, prepare: Prepare) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq"}
    (folder / "config.json").write_text(json.dumps(config))
    for engine in ("auto", "openvino"):
        with pytest.raises(ModelError, match="model tiny is quantised with GPTQ"):
            prepare(folder, engine=engine)


def test_auto_takes_torch_where_the_self_check_fails(
    tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    assert prepare(folder).engine == "openvino"
    monkeypatch.setattr(self_check, "MOST_OFF_RECORDED", -1.0)
    own = {"model": str(folder), "state_dir": tmp_path / "state", "max_slots": 4}
    with pytest.raises(ModelError, match="does not answer here as it should"):
        load(load_settings(engine="openvino", **own), "worker-1")
    model, engine = load(load_settings(**own), "worker-1")
    engine.close()
    assert model.engine == "torch"
    assert prepare(folder).engine == "torch"


def in_16_bits(folder: Path) -> None:
    """Rounds the weights of a folder, as those of most folders are."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    model.bfloat16().save_pretrained(folder)


def _forms() -> Any:
    from batcher.openvino_engine.export import weights

    return weights._FORMS
