"""A tokenizer whose added tokens have other names, over the same vocabulary."""

from __future__ import annotations

from collections.abc import Mapping

from tokenizers import AddedToken, Tokenizer, pre_tokenizers
from tokenizers.pre_tokenizers import PreTokenizer


class RenamedTokenizer:
    """Finds the added tokens of `names` by their new names; their old ones are text.

    All ids are those of `tokenizer`, with which it shares its vocabulary. A text is cut at each
    `cut`, which is no part of it.
    """

    def __init__(self, tokenizer: Tokenizer, names: Mapping[str, str], cut: str = "") -> None:
        self._tokenizer = Tokenizer(tokenizer.model)
        if tokenizer.normalizer is not None:
            self._tokenizer.normalizer = tokenizer.normalizer
        steps: list[PreTokenizer] = [pre_tokenizers.Split(cut, "removed")] if cut else []
        steps += [tokenizer.pre_tokenizer] if tokenizer.pre_tokenizer else []
        if steps:
            self._tokenizer.pre_tokenizer = _sequence(steps)
        added = sorted(tokenizer.get_added_tokens_decoder().items())
        self._tokenizer.add_tokens([_called(names, token) for _id, token in added])
        find = self._tokenizer.token_to_id
        self._ids = {find(_called(names, token).content): id_ for id_, token in added}

    def encode(self, text: str) -> tuple[int, ...]:
        """The ids of a text, without special tokens around it."""
        [encoded] = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)
        return tuple(self._ids.get(token_id, token_id) for token_id in encoded.ids)


def _sequence(steps: list[PreTokenizer]) -> PreTokenizer:
    return steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(steps)


def _called(names: Mapping[str, str], token: AddedToken) -> AddedToken:
    return AddedToken(
        names.get(token.content, token.content),
        single_word=token.single_word,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
        normalized=token.normalized,
        special=token.special,
    )
