"""Loading a model folder for this machine: its device, its number format, its threads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from batcher.torch_engine import attention
from batcher.torch_engine.device import pick_device
from batcher.torch_engine.fused_layer import fuse_layers
from batcher.torch_engine.huge_pages import use_huge_pages
from batcher.torch_engine.linear import PackedLinear, PlainLinear, can_pack, pack_linears
from batcher.torch_engine.model_errors import model_errors
from batcher.torch_engine.quiet import quiet_transformers
from batcher.torch_engine.rope import freeze_rope
from batcher.torch_engine.supported import supported_config
from headrace.core.errors import ModelError
from headrace.core.settings import Settings


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
    make_faster(model, rows=settings.max_slots)
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
def make_faster(model: Any, rows: int) -> None:
    """Joins what can be one operation; `rows` is the usual batch."""
    packs = model.device.type == "cpu" and model.dtype == torch.bfloat16
    if packs and _has_bfloat16(model.device) and can_pack():
        for parameter in model.parameters():  # what is left unpacked would keep the whole file in
            parameter.data = parameter.data.clone()
        fuse_layers(model, lambda layers: PackedLinear(layers, rows))
        pack_linears(model, rows)
    else:
        fuse_layers(model, PlainLinear)


def pick_dtype(settings: Settings, device: torch.device) -> torch.dtype:
    """`auto` is bf16 where the hardware multiplies it, else fp32."""
    if settings.dtype == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    return torch.bfloat16 if settings.dtype == "bfloat16" else torch.float32


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    features = torch.cpu.get_capabilities()
    return bool(features.get("amx_bf16") or features.get("avx512_bf16"))
