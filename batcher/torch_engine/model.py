"""Loading a model folder for this machine: its device, its number format, its threads."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer
from transformers.utils import logging as transformers_logging

from batcher.torch_engine import attention
from batcher.torch_engine.fused_layer import fuse_layers
from batcher.torch_engine.huge_pages import use_huge_pages
from batcher.torch_engine.linear import PackedLinear, PlainLinear, can_pack, pack_linears
from batcher.torch_engine.rope import freeze_rope
from headrace.core.errors import ModelError
from headrace.core.settings import Settings


def load_model(settings: Settings, folder: Path) -> Any:
    """The causal model in `folder`, on its device and ready for inference.

    Raises `ModelError` when it cannot be read, or holds layers other than full attention.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    device = pick_device(settings)
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            config=_supported_config(folder, settings.max_context_tokens),
            dtype=pick_dtype(settings, device),
            attn_implementation=attention.NAME,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"cannot load the model in {folder}: {error}") from error
    if "position_ids" not in inspect.signature(model.forward).parameters:
        raise ModelError(f"the model in {folder} cannot be told the positions of its tokens")
    model = model.to(device).eval().requires_grad_(False)
    freeze_rope(model, settings.max_context_tokens)
    make_faster(model, rows=settings.max_slots)
    use_huge_pages(model)
    return model


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


def pick_device(settings: Settings) -> torch.device:
    """Raises `ModelError` where a GPU is asked for and there is none."""
    has_gpu = torch.cuda.is_available()
    if settings.device == "cuda" and not has_gpu:
        raise ModelError("HEADRACE_DEVICE is cuda, but torch finds no GPU here")
    return torch.device("cuda" if has_gpu and settings.device != "cpu" else "cpu")


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


def _supported_config(folder: Path, context_tokens: int) -> Any:
    config: Any = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    layers = DynamicCache(config=config).layers
    unsupported = {type(layer).__name__ for layer in layers if not _is_full(layer, context_tokens)}
    if unsupported:
        raise ModelError(
            f"the model in {folder} has layers other than full attention: {sorted(unsupported)}"
        )
    return config


def _is_full(layer: Any, context_tokens: int) -> bool:
    """A window as wide as the context hides nothing."""
    if type(layer) is DynamicSlidingWindowLayer:
        return bool(layer.sliding_window >= context_tokens)
    return type(layer) is DynamicLayer
