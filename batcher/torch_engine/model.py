"""Loading a model folder for this machine: its device, its number format, its threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.utils import logging as transformers_logging

from headrace.core.errors import ModelError
from headrace.core.settings import Settings


def load_model(settings: Settings, folder: Path) -> Any:
    """The causal model in `folder`, on its device and ready for inference.

    Raises `ModelError` when it cannot be read, or holds layers other than full attention.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    device = pick_device()
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            config=_supported_config(folder),
            dtype=pick_dtype(settings, device),
            attn_implementation="sdpa",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"cannot load the model in {folder}: {error}") from error
    return model.to(device).eval().requires_grad_(False)


def pick_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


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


def _supported_config(folder: Path) -> Any:
    config: Any = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    kinds = {type(layer).__name__ for layer in DynamicCache(config=config).layers}
    unsupported = kinds - {DynamicLayer.__name__}
    if unsupported:
        raise ModelError(
            f"the model in {folder} has layers other than full attention: {sorted(unsupported)}"
        )
    return config
