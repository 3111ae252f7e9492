from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from batcher.model_config import (
    read_config,
    refuse_adapter,
    refuse_quantised_files,
    require_runnable,
)
from headrace.core.errors import ModelError

NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}


@pytest.mark.parametrize(
    ("quantisation", "name"),
    [
        ({"quant_method": "gptq", "bits": 4}, "GPTQ"),
        ({"quant_method": "awq", "bits": 4}, "AWQ"),
        ({"quant_method": "bitsandbytes", **NF4}, "bitsandbytes"),
        (NF4, "bitsandbytes"),
        ({"quant_method": "compressed-tensors", "format": "pack-quantized"}, "compressed-tensors"),
        ({"quant_method": "torchao", "quant_type": {}}, "torchao"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "FP8"),
        ({"quant_method": "mxfp4"}, "MXFP4"),
        ({"quant_method": "one-of-tomorrow"}, "one-of-tomorrow"),
        ({"bits": 4}, "a method that config.json does not name"),
        ("int4", "a method that config.json does not name"),
    ],
)
@pytest.mark.parametrize("wrap", ["plain", "text_config", "compression_config"])
def test_a_quantised_model_is_refused_by_the_name_of_its_method(
    quantisation: Any, name: str, wrap: str
) -> None:
    field = "compression_config" if wrap == "compression_config" else "quantization_config"
    config = {field: quantisation}
    with pytest.raises(ModelError, match=f"model m is quantised with {name}, which no engine"):
        require_runnable({"text_config": config} if wrap == "text_config" else config, "m")


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("kv_lora_rank", 512, r"model m \(some_type\) uses multi-head latent attention \(MLA\)"),
        ("is_encoder_decoder", True, r"model m \(some_type\) is an encoder-decoder"),
        ("attn_logit_softcapping", 50.0, r"model m \(some_type\) caps its attention scores"),
    ],
)
def test_a_kind_of_model_that_cannot_be_run_is_named(
    field: str, value: Any, complaint: str
) -> None:
    with pytest.raises(ModelError, match=complaint):
        require_runnable({"model_type": "some_type", field: value}, "m")


def test_fields_that_are_there_and_empty_refuse_nothing() -> None:
    fields = ("quantization_config", "kv_lora_rank", "attn_logit_softcapping", "text_config")
    require_runnable({**dict.fromkeys(fields), "is_encoder_decoder": False}, "m")


@pytest.mark.parametrize("text", ["{", "", "[]", '"llama"', "\xff"])
def test_a_config_that_is_no_json_object_is_said(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=r"config.json is not (JSON|a JSON object)"):
        read_config(tmp_path)


def test_a_folder_without_a_config_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config.json"):
        read_config(tmp_path)


def test_an_adapter_is_no_model(tmp_path: Path) -> None:
    refuse_adapter(tmp_path, "m")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    with pytest.raises(ModelError, match=r"model m is an adapter \(PEFT\)"):
        refuse_adapter(tmp_path, "m")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("quantize_config.json", "GPTQ"),
        ("quant_config.json", "AWQ"),
        ("hf_quant_config.json", "ModelOpt"),
    ],
)
def test_what_older_tools_wrote_beside_the_config_counts(
    file: str, name: str, tmp_path: Path
) -> None:
    refuse_quantised_files(tmp_path, "m")
    (tmp_path / file).write_text("{}")
    with pytest.raises(ModelError, match=f"model m is quantised with {name}"):
        refuse_quantised_files(tmp_path, "m")
