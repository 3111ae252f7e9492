"""The ids that end an answer: the tokenizer's, and those that the model's files name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import GenerationConfig

_TEXT_CONFIGS = ("decoder", "generator", "text_config")
"""Where transformers looks for a language model among several."""


def eos_token_ids(tokenizer: Any, config: Any, path: Path) -> tuple[int, ...]:
    """The ends of sequence of the model in the folder or GGUF file `path`.

    Those of generation_config.json count; those of config.json where it is absent or names none, as
    `generate` does it. A GGUF file has its own.
    """
    own = _ids(tokenizer.eos_token_id)
    named = _ids(config.eos_token_id) if path.is_file() else _named(path)
    return tuple(sorted(own | named))


def _named(folder: Path) -> set[int]:
    if (folder / "generation_config.json").is_file():
        settings = GenerationConfig.from_pretrained(folder, local_files_only=True)
        if ends := _ids(settings.eos_token_id):
            return ends
    # The file and not transformers' object, whose classes fill in ids of their own (Llama's is 2).
    config = json.loads((folder / "config.json").read_text())
    nested = [config[name] for name in _TEXT_CONFIGS if isinstance(config.get(name), dict)]
    found = (_ids(part.get("eos_token_id")) for part in (config, *nested))
    return next(filter(None, found), set())


def _ids(value: Any) -> set[int]:
    """An id, a list of ids, or none. Some configurations write -1 for none."""
    ids = value if isinstance(value, list) else [value]
    return {id_ for id_ in ids if isinstance(id_, int) and id_ >= 0}
