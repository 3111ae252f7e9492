"""Loading a model folder for this machine: its device, its number format, its threads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from batcher.fidelity.number_format import BFLOAT16_FEATURES, INT8_FEATURES, number_format
from batcher.torch_engine import attention
from batcher.torch_engine.device import pick_device
from batcher.torch_engine.freed_memory import give_back
from batcher.torch_engine.fused_layer import fuse_layers
from batcher.torch_engine.huge_pages import use_huge_pages
from batcher.torch_engine.int8_linear import Int8Products, has_int8
from batcher.torch_engine.linear import PackedProducts, Products, can_pack, replace_linears
from batcher.torch_engine.model_errors import model_errors
from batcher.torch_engine.quiet import quiet_transformers
from batcher.torch_engine.rope import freeze_rope
from batcher.torch_engine.supported import supported_config
from headrace.core.cpu_features import cpu_features
from headrace.core.errors import ModelError
from headrace.core.settings import Settings, variable


def load_model(settings: Settings, folder: Path) -> Any:
    """The causal model in `folder`, on its device and ready for this engine.

    Raises `ModelError` when it cannot be read, or holds layers other than full attention.
    """
    return make_ready(read_model(settings, folder), settings)


def read_model(
    settings: Settings, folder: Path, name: str | None = None, worker: int | None = None
) -> Any:
    """The causal model in `folder`, on its device, as transformers itself runs it.

    Errors call it `name`; the worker of that number runs it. Raises `ModelError` when it cannot be
    read, or holds layers other than full attention.
    """
    name = name or folder.name
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = pick_device(settings, worker)
    config = supported_config(folder, name, settings.max_context_tokens)
    with quiet_transformers(), model_errors(f"cannot load the model {name} in {folder}"):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=pick_dtype(settings, device),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # they are looked at below
            output_loading_info=True,
        )
        model, found = loaded
        _require_all_weights(found, name)
        model = model.to(device).eval().requires_grad_(False)
        freeze_rope(model, settings.max_context_tokens)
        return model


def make_ready(model: Any, settings: Settings) -> Any:
    """The same model with the attention and the layers of this engine."""
    model.set_attn_implementation(attention.NAME)
    make_faster(model, settings)
    give_back()
    use_huge_pages(model)
    return model


def _require_all_weights(found: Mapping[str, Any], name: str) -> None:
    """transformers gives random numbers to weights that a folder lacks."""
    missing = sorted(found["missing_keys"])
    if missing:
        raise ModelError(
            f"model {name} lacks {len(missing)} of its weights, such as {missing[0]}: it is"
            " incomplete, or its config.json is that of another model"
        )
    for weight, given, expected in sorted(found["mismatched_keys"]):
        raise ModelError(
            f"model {name} has a weight of another shape than its config.json says: {weight} is"
            f" {list(given)}, not {list(expected)}"
        )


@torch.inference_mode()
def make_faster(model: Any, settings: Settings) -> None:
    """Joins what can be one operation, and lays weights out as this processor reads them best."""
    products = _products(model, settings)
    if type(products) is not Products:
        for parameter in model.parameters():  # what is left would keep the whole file in memory
            parameter.data = parameter.data.clone()
    fuse_layers(model, products)
    replace_linears(model, products)


def _products(model: Any, settings: Settings) -> Products:
    """Laid out for the usual batch."""
    if is_quantised(settings):
        return Int8Products(settings.max_slots)
    packs = model.device.type == "cpu" and model.dtype == torch.bfloat16
    if packs and _has_bfloat16(model.device) and can_pack():
        return PackedProducts(settings.max_slots)
    return Products()


def is_quantised(settings: Settings) -> bool:
    """Whether weights are kept in 8 bits."""
    return number_format(settings, "torch") == "int8"


def pick_dtype(settings: Settings, device: torch.device) -> torch.dtype:
    """Of a model as it is read: that of all that is not quantised later.

    Raises `ModelError` where 8 bits are asked for and not to be had.
    """
    if is_quantised(settings):
        _require_int8(device)
    if settings.dtype == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    return torch.bfloat16 if settings.dtype == "bfloat16" else torch.float32


def _require_int8(device: torch.device) -> None:
    asked = f"{variable('dtype')} is int8, which"
    if device.type != "cpu":
        raise ModelError(f"{asked} torch computes on CPUs alone: take bfloat16")
    if not INT8_FEATURES & set(cpu_features()):
        raise ModelError(f"{asked} needs a processor with VNNI or AMX: take float32")
    if not has_int8():
        raise ModelError(f"{asked} torch {torch.__version__} cannot multiply: take float32")


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(BFLOAT16_FEATURES & set(cpu_features()))
