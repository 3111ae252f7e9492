"""Grammars of JSON schemas: which tokens may come next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from headrace.core.errors import InvalidRequest
from headrace.core.model_card import ModelCard

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

LIMITS = LLParserLimits(
    initial_lexer_fuel=500_000,
    step_lexer_fuel=50_000,
    step_max_items=20_000,
    max_lexer_states=50_000,
    verbose_errors=False,
)
"""A mask takes 4 ms at most, a compile tens of milliseconds; beyond that a grammar gives up."""

OPTIONS: JsonCompileOptions = {
    "lenient": False,
    "coerce_one_of": False,
    "whitespace_flexible": False,
    "item_separator": ", ?",
    "key_separator": ": ?",
}
"""Keywords that are not held are refused. With one blank at most no output is blanks to its end."""

SHOWN = 300


class Grammar:
    """The grammar of one row, and how far its output has come.

    One that has `complaint` allows nothing more. Behind its end it allows the ends of sequence.
    """

    def __init__(self, matcher: LLMatcher, mask_bytes: int) -> None:
        self.matcher = matcher
        self.mask_bytes = mask_bytes

    @property
    def complaint(self) -> str | None:
        """Why it gave up; None where it did not."""
        if not self.matcher.is_error():
            return None
        text, _, _place = self.matcher.get_error().partition("\n<")
        return " ".join(text.split())[:SHOWN]

    def advance(self, token_ids: Sequence[int]) -> bool:
        """Takes the next ids of the output; False where they do not belong to it.

        Behind its end nothing is looked at: only ends of sequence come.
        """
        for token_id in token_ids:
            if self.matcher.is_stopped():
                break
            self.matcher.consume_token(token_id)
        return not self.matcher.is_error()

    def copy(self) -> Grammar:
        """Another one at the same place, which goes on by itself."""
        return Grammar(self.matcher.deep_copy(), self.mask_bytes)


class GrammarCompiler:
    """Makes grammars for the tokenizer of a card, and for logits of `vocabulary` ids."""

    def __init__(self, card: ModelCard, vocabulary: int) -> None:
        """Takes a second for 50,000 ids. Raises `ValueError` for a tokenizer it cannot read."""
        ends = list(card.eos_token_ids)
        self._tokenizer = LLTokenizer(card.tokenizer_json, n_vocab=vocabulary, eos_token=ends)
        self._mask_bytes = 4 * math.ceil(vocabulary / 32)

    def compile(self, schema: str) -> Grammar:
        """Makes the grammar of a schema; other threads of Python go on meanwhile.

        Raises `InvalidRequest` for a schema that it cannot hold output to, with the reason.
        """
        try:
            text = LLMatcher.grammar_from_json_schema(schema, overrides=OPTIONS)
        except ValueError as error:
            raise InvalidRequest(f"json_schema: {error}", "json_schema") from error
        matcher = LLMatcher(self._tokenizer, text, log_level=0, limits=LIMITS)
        grammar = Grammar(matcher, self._mask_bytes)
        if (complaint := grammar.complaint) is not None:
            raise InvalidRequest(f"json_schema: {complaint}", "json_schema")
        return grammar
