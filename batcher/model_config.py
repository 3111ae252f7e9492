"""What a model's config.json says against running it, before anything larger is read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headrace.core.errors import ModelError

CONFIG, ADAPTER = "config.json", "adapter_config.json"

_SIDE_FILES = {
    "quantize_config.json": "gptq",
    "quant_config.json": "awq",
    "hf_quant_config.json": "modelopt",
}
"""Where older tools, and NVIDIA's, say with which method they have quantised a model."""

_SPELLINGS = {
    "awq": "AWQ",
    "bitnet": "BitNet",
    "fbgemm_fp8": "FP8",
    "fp8": "FP8",
    "gptq": "GPTQ",
    "hqq": "HQQ",
    "modelopt": "ModelOpt",
    "mxfp4": "MXFP4",
    "nvfp4": "NVFP4",
}
"""How people write methods of quantisation that config.json writes in another way."""

_TRAITS = {
    "kv_lora_rank": "uses multi-head latent attention (MLA)",
    "is_encoder_decoder": "is an encoder-decoder",
    "attn_logit_softcapping": "caps its attention scores (softcap)",
}
"""Fields that are empty in every model that the torch engine runs."""


def refuse_adapter(folder: Path, name: str) -> None:
    """Raises `ModelError` for a folder that holds only what was learned on top of a model."""
    if (folder / ADAPTER).is_file():
        raise ModelError(
            f"model {name} is an adapter (PEFT) of another model: merge it into the weights of that"
            " model, with merge_and_unload"
        )


def refuse_quantised_files(folder: Path, name: str) -> None:
    """Raises `ModelError` where a file beside config.json says that the weights are quantised."""
    for file, method in _SIDE_FILES.items():
        if (folder / file).is_file():
            raise quantised(name, method)


def read_config(folder: Path) -> Mapping[str, Any]:
    """Raises `ModelError` where the file is missing or is no JSON object."""
    file = folder / CONFIG
    try:
        config = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"the model folder {folder} has no {CONFIG}") from error
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise ModelError(f"{file} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"{file} is not a JSON object")
    return config


def require_runnable(config: Mapping[str, Any], name: str) -> None:
    """Raises `ModelError` for a kind of model that the torch engine cannot run."""
    for part in _parts(config):
        method = _quantisation(part)
        if method:
            raise quantised(name, method)
        for field, trait in _TRAITS.items():
            if part.get(field):
                raise ModelError(
                    f"model {name} ({config.get('model_type')}) {trait}, which the torch engine"
                    " cannot run: take another model"
                )


def quantised(name: str, method: str) -> ModelError:
    return ModelError(
        f"model {name} is quantised with {_SPELLINGS.get(method, method)}, which no engine here"
        " runs: take its unquantised weights, or a GGUF file"
    )


def _parts(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The whole, and the language model of one that also sees or hears."""
    yield config
    text = config.get("text_config")
    if isinstance(text, dict):
        yield text


def _quantisation(config: Mapping[str, Any]) -> str | None:
    """The method, where there is one. bitsandbytes has not always written its name."""
    found = config.get("quantization_config") or config.get("compression_config")
    if not found:
        return None
    if isinstance(found, dict) and found.get("quant_method"):
        return str(found["quant_method"])
    is_bitsandbytes = isinstance(found, dict) and {"load_in_4bit", "load_in_8bit"} & found.keys()
    return "bitsandbytes" if is_bitsandbytes else "a method that config.json does not name"
