"""What is done once for a model, with transformers: its weights as safetensors, its card."""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GgufConfig,
)
from transformers.utils import logging as transformers_logging

from batcher.gguf_reading import one_reading
from batcher.gguf_rope import keep_rope
from batcher.model_files import require_weights
from batcher.model_parts import Progress
from batcher.model_source import ModelSource
from batcher.sampling_defaults import read_sampling_defaults
from batcher.sequence_ends import eos_token_ids
from batcher.torch_engine.model_errors import one_line
from batcher.torch_engine.supported import supported_config
from headrace.core.card_extras import CardExtras
from headrace.core.errors import ModelError
from headrace.core.model_card import ModelCard

_HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model", "merges.txt", "vocab.txt"]
_SAYING_FILES = ["*config.json"]
"""Those that say what kind of model it is, in a few kilobytes."""


def require_runnable(source: ModelSource, context_tokens: int) -> None:
    """Looks at what a folder, or a model of the hub, says of itself, before gigabytes are fetched.

    Raises `ModelError` for what the torch engine cannot run with sequences of that length.
    """
    if source.kind == "gguf":
        return
    folder = source.path or _download(source.name, _SAYING_FILES)
    supported_config(folder, source.name, context_tokens)


def make_weights(source: ModelSource, weights: Path, progress: Progress) -> None:
    """Makes `weights` a folder that `from_pretrained` reads, or a link to one."""
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if source.kind == "gguf" and source.path is not None:
        _convert_gguf(source.path, weights, progress)
        return
    folder = source.path
    if folder is None:
        progress(f"downloading {source.name}")
        folder = _download(source.name, _HUB_FILES)
    require_weights(folder, source.name)
    weights.symlink_to(folder)


def build_card(source: ModelSource, path: Path, progress: Progress) -> ModelCard:
    """The card of the model in the folder or GGUF file `path`, with the model's own context."""
    names: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    folder = path
    if path.is_file():
        folder, names = path.parent, names | {"gguf_file": path.name}
    try:
        with one_reading():
            tokenizer: Any = AutoTokenizer.from_pretrained(folder, **names)
            config: Any = AutoConfig.from_pretrained(folder, **names)
        text_config = config.get_text_config(decoder=True)
        return ModelCard(
            name=source.name,
            tokenizer_json=tokenizer.backend_tokenizer.to_str(),
            context_tokens=text_config.max_position_embeddings,
            eos_token_ids=eos_token_ids(tokenizer, config, path),
            bos_token=tokenizer.bos_token or "",
            eos_token=tokenizer.eos_token or "",
            chat_template=_chat_template(tokenizer),
            extras=CardExtras(
                special_tokens=tokenizer.special_tokens_map,
                sampling=read_sampling_defaults(path, progress),
            ),
        )
    except (OSError, ValueError, KeyError, AttributeError, ImportError) as error:
        raise ModelError(
            f"cannot read the tokenizer or configuration of {source.name}: {one_line(error)}"
        ) from error


def _convert_gguf(file: Path, weights: Path, progress: Progress) -> None:
    """bf16: it holds four-bit blocks more finely than they were cut, at half of fp32's bytes."""
    names = {"gguf_file": file.name, "local_files_only": True}
    try:
        progress("reading the GGUF tokenizer")
        tokenizer: Any = AutoTokenizer.from_pretrained(file.parent, **names)
        progress("unpacking the GGUF weights")
        # Its own progress bar cannot be switched off, and would write over ours.
        with redirect_stderr(StringIO()), one_reading():
            model: Any = AutoModelForCausalLM.from_pretrained(
                file.parent,
                dtype=torch.bfloat16,
                quantization_config=GgufConfig(dequantize=True),
                **names,
            )
        keep_rope(file, model.config)
        progress("writing safetensors")
        model.save_pretrained(weights)
        tokenizer.save_pretrained(weights)
    except Exception as error:  # a file that cannot be read raises whatever its reader trips over
        raise ModelError(f"cannot convert the GGUF file {file}: {one_line(error)}") from error


def _download(hub_id: str, files: list[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=files))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"model {hub_id} is not a folder here and the Hugging Face hub did not give it:"
            f" {one_line(error)}"
        ) from error


def _chat_template(tokenizer: Any) -> str | None:
    template = tokenizer.chat_template
    return template.get("default") if isinstance(template, dict) else template
