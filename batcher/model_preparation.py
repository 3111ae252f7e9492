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

from batcher.gguf_rope import keep_rope
from batcher.model_source import ModelSource
from batcher.model_store import Progress
from batcher.sequence_ends import eos_token_ids
from headrace.core.errors import ModelError
from headrace.core.model_card import ModelCard

_HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model", "merges.txt", "vocab.txt"]


def make_weights(source: ModelSource, weights: Path, progress: Progress) -> None:
    """Makes `weights` a folder that `from_pretrained` reads, or a link to one."""
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if source.path is None:
        progress(f"downloading {source.name}")
        weights.symlink_to(_download(source.name))
    elif source.kind == "folder":
        _require_safetensors(source.path)
        weights.symlink_to(source.path)
    else:
        _convert_gguf(source.path, weights, progress)


def build_card(source: ModelSource, path: Path) -> ModelCard:
    """The card of the model in the folder or GGUF file `path`, with the model's own context."""
    names: dict[str, Any] = {"local_files_only": True}
    folder = path
    if path.is_file():
        folder, names = path.parent, names | {"gguf_file": path.name}
    try:
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
        )
    except (OSError, ValueError, KeyError, AttributeError, ImportError) as error:
        raise ModelError(
            f"cannot read the tokenizer or configuration of {source.name}: {error}"
        ) from error


def _convert_gguf(file: Path, weights: Path, progress: Progress) -> None:
    """bf16: it holds four-bit blocks more finely than they were cut, at half of fp32's bytes."""
    names = {"gguf_file": file.name, "local_files_only": True}
    try:
        progress("reading the GGUF tokenizer")
        tokenizer: Any = AutoTokenizer.from_pretrained(file.parent, **names)
        progress("unpacking the GGUF weights")
        # Its own progress bar cannot be switched off, and would write over ours.
        with redirect_stderr(StringIO()):
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
        raise ModelError(f"cannot convert the GGUF file {file}: {error}") from error


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=_HUB_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"model {hub_id} is not a folder here and the Hugging Face hub did not give it: {error}"
        ) from error
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"model {hub_id} on the Hugging Face hub has no .safetensors files")
    return folder


def _require_safetensors(folder: Path) -> None:
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"the model folder {folder} has no *.safetensors: torch cannot read it")


def _chat_template(tokenizer: Any) -> str | None:
    template = tokenizer.chat_template
    return template.get("default") if isinstance(template, dict) else template
