"""Rotary positions whose frequencies stay the same however long the rows of a forward are.

transformers picks the frequencies of `longrope` (Phi-3.5, Phi-4-mini) and `dynamic` by the longest
position of each forward. In a batch of many requests one long row would then rotate the rows beside
it differently, and a row that grows past the original window would be compared with keys that were
rotated otherwise. So the frequencies are chosen once, for the longest sequence that is served, as
vLLM chooses them too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from headrace.core.errors import ModelError

_WINDOWS = {"longrope": "original_max_position_embeddings", "dynamic": "max_position_embeddings"}
"""The rope types that depend on a length, and where each finds the one it was trained with."""

_FROZEN = "frozen"
"""A rope type that transformers does not know, and so leaves alone."""


def freeze_rope(model: Any, context_tokens: int) -> None:
    """Fixes the frequencies of every rotary embedding for sequences of up to `context_tokens`.

    No sequence is longer than the model's own context. Raises `ModelError` for an embedding that
    goes on choosing by itself.
    """
    config = model.config.get_text_config(decoder=True)
    context_tokens = min(
        context_tokens, getattr(config, "max_position_embeddings", None) or context_tokens
    )
    for module in model.modules():
        kinds = getattr(module, "rope_type", None)
        if isinstance(kinds, str) and kinds in _WINDOWS:
            _choose(module, kinds, context_tokens)
            module.rope_type = _FROZEN
            _require_fixed(module, context_tokens)
        elif isinstance(kinds, dict):
            for layer_type in [name for name, kind in kinds.items() if kind in _WINDOWS]:
                _choose(module, kinds[layer_type], context_tokens, layer_type)
                kinds[layer_type] = _FROZEN
                _require_fixed(module, context_tokens, layer_type)


def is_frozen(model: Any) -> bool:
    """Whether `freeze_rope` chose frequencies of `model` by the context."""
    kinds = [getattr(module, "rope_type", None) for module in model.modules()]
    return any(_FROZEN in (kind.values() if isinstance(kind, dict) else (kind,)) for kind in kinds)


@torch.no_grad()
def _choose(module: Any, kind: str, context_tokens: int, *layer_type: str) -> None:
    """An embedding is made for its window; only a longer context changes it."""
    config = module.config
    rope = config.rope_parameters[layer_type[0]] if layer_type else config.rope_parameters
    window = rope.get(_WINDOWS[kind], config.max_position_embeddings)
    if context_tokens <= window:
        return
    name = "_".join((*layer_type, "inv_freq"))
    frequencies: Tensor = getattr(module, name)
    chosen, scaling = ROPE_INIT_FUNCTIONS[kind](
        config, frequencies.device, context_tokens, *layer_type
    )
    setattr(module, name, chosen.to(frequencies))
    setattr(module, "_".join((*layer_type, "attention_scaling")), scaling)


def _require_fixed(module: Any, context_tokens: int, *layer_type: str) -> None:
    """The first position has to be rotated alike beside a near one and beside the farthest."""
    one = torch.zeros(1)
    near, far = (
        module(one, torch.tensor([[1, last]]), *layer_type) for last in (1, context_tokens - 1)
    )
    if not all(torch.equal(a[:, 0], b[:, 0]) for a, b in zip(near, far, strict=True)):
        raise ModelError(
            f"the rotary positions of {type(module).__name__} depend on the longest row beside"
            " them: set HEADRACE_MAX_CONTEXT_TOKENS to its original window"
        )
