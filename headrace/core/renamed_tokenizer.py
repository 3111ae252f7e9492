"""A tokenizer whose tokens have other names: the same ids for all other texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tokenizers import Tokenizer


def rename_tokens(tokenizer_json: str, names: Mapping[str, str]) -> Tokenizer:
    """Each token of `names` is called by its value. Its old name is a text like any other.

    It is meant for texts without special tokens around them: it adds none.
    """
    tree = json.loads(tokenizer_json)
    for token in tree["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])
    _rename_in_model(tree["model"], names)
    tree["post_processor"] = tree["truncation"] = tree["padding"] = None
    return Tokenizer.from_str(json.dumps(tree))


def _rename_in_model(model: dict[str, Any], names: Mapping[str, str]) -> None:
    """Renames them in the vocabulary, where a text could otherwise become one as a whole."""
    vocabulary = model["vocab"]
    if isinstance(vocabulary, dict):
        model["vocab"] = {names.get(token, token): id_ for token, id_ in vocabulary.items()}
    else:
        model["vocab"] = [[names.get(piece, piece), score] for piece, score in vocabulary]
    if isinstance(model.get("unk_token"), str):
        model["unk_token"] = names.get(model["unk_token"], model["unk_token"])
    if "merges" in model:
        prefix = model.get("continuing_subword_prefix") or ""
        kept = [merge for merge in model["merges"] if not _makes(_parts(merge), prefix, names)]
        model["merges"] = kept


def _parts(merge: str | list[str]) -> list[str]:
    """Older files have both parts in one text."""
    return merge.split(" ") if isinstance(merge, str) else merge


def _makes(parts: list[str], prefix: str, names: Mapping[str, str]) -> bool:
    """Whether a merge takes or makes a renamed token."""
    left, right = parts
    return not names.keys().isdisjoint((left, right, left + right.removeprefix(prefix)))
