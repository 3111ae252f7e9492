"""A model of transformers as its documentation loads it, in the number format that is fast here."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from transformers import AutoModelForCausalLM


def load_plainly(arguments: argparse.Namespace) -> Any:
    """It knows no end of a sequence: outputs end by length.

    Its weights keep `requires_grad`: without it, prompts are read 1.5 times slower.
    """
    torch.set_num_threads(arguments.threads)
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=fast_dtype())
    model.config.eos_token_id = None
    model.generation_config.eos_token_id = None
    return model


def fast_dtype() -> torch.dtype:
    """As our engine's `auto` picks it on a CPU."""
    features = torch.cpu.get_capabilities()
    has_bfloat16 = features.get("amx_bf16") or features.get("avx512_bf16")
    return torch.bfloat16 if has_bfloat16 else torch.float32
