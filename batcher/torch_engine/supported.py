"""Which models this engine may try to run, as far as their configuration and class say.

What these do not say, the self-check finds out.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig
from transformers import __version__ as version
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from batcher.model_config import (
    read_config,
    refuse_adapter,
    refuse_quantised_files,
    require_runnable,
)
from batcher.torch_engine.model_errors import model_errors
from batcher.torch_engine.quiet import quiet_transformers
from headrace.core.errors import ModelError
from headrace.core.settings import variable


def supported_config(folder: Path, name: str, context_tokens: int) -> Any:
    """The configuration of the model in `folder`, called `name` in errors.

    Raises `ModelError` for a model that this engine cannot run with sequences of that length.
    """
    refuse_adapter(folder, name)
    refuse_quantised_files(folder, name)
    raw = read_config(folder)
    require_runnable(raw, name)
    with quiet_transformers(), model_errors(f"cannot load the model {name} in {folder}"):
        _require_known_type(raw, name)
        config: Any = AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        config._attn_implementation = None  # some name one that its makers' GPUs had
        _require_fitting_class(config, raw, name)
        for layer in DynamicCache(config=config).layers:
            _require_full_attention(layer, f"model {name} ({config.model_type})", context_tokens)
    return config


def _require_known_type(raw: Mapping[str, Any], name: str) -> None:
    model_type = raw.get("model_type")
    if model_type is None or model_type in CONFIG_MAPPING:
        return
    if "auto_map" in raw:
        raise ModelError(
            f"model {name} ({model_type}) comes with code of its own (trust_remote_code), which is"
            " not run here: take another model"
        )
    raise ModelError(
        f"model {name} is of a kind, {model_type}, that transformers {version} does not know:"
        " take another model"
    )


def _require_fitting_class(config: Any, raw: Mapping[str, Any], name: str) -> None:
    """A class that generates text, that is told positions, and whose attention can be replaced."""
    model = f"model {name} ({config.model_type})"
    model_class: Any = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    if model_class is None and "vision_config" in raw:
        raise ModelError(f"{model} is a vision-language model: take a model of text alone")
    if model_class is None:
        raise ModelError(f"{model} does not generate text: take another model")
    if "position_ids" not in inspect.signature(model_class.forward).parameters:
        raise ModelError(
            f"{model} cannot be told the positions of its tokens, so the torch engine cannot run"
            " it: take another model"
        )
    if not model_class._can_set_attn_implementation():
        raise ModelError(
            f"{model} has an attention that cannot be replaced, so the torch engine cannot run it:"
            " take another model"
        )


def _require_full_attention(layer: Any, model: str, context_tokens: int) -> None:
    """A window as wide as the context hides nothing."""
    if type(layer) is DynamicLayer:
        return
    if type(layer) is not DynamicSlidingWindowLayer:
        raise ModelError(
            f"{model} has layers other than full attention, {_words(type(layer))}, which the torch"
            " engine cannot run: take another model"
        )
    if layer.sliding_window < context_tokens:
        raise ModelError(
            f"{model} has layers other than full attention, windows of {layer.sliding_window}"
            f" tokens, which the torch engine cannot run with"
            f" {variable('max_context_tokens')}={context_tokens}: take another model, or lower it"
        )


def _words(layer_class: type) -> str:
    """`LinearAttentionLayer` as people read it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", layer_class.__name__).lower()
