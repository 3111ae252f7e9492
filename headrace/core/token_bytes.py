"""The bytes that single tokens stand for; one token may be a part of a character only."""

from __future__ import annotations

import re

from tokenizers import Tokenizer

_FALLBACK = re.compile(r"<0x([0-9A-F]{2})>")
"""A byte that has no token of its own, as SentencePiece writes it."""

_SPACE = "\u2581"
"""A space, as SentencePiece writes it."""


class TokenBytes:
    """Reads a tokenizer's vocabulary as its decoder would, but each token for itself."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        decoder = tokenizer.decoder.__getstate__() if tokenizer.decoder else b""
        self._tokenizer = tokenizer
        self._added = tokenizer.get_added_tokens_decoder()
        self._is_byte_level = b'"ByteLevel"' in decoder
        self._is_sentencepiece = b'"ByteFallback"' in decoder or b'"Metaspace"' in decoder

    def of(self, token_id: int) -> bytes:
        """Empty for an id that the tokenizer does not know: models may have some to spare."""
        if token_id in self._added:
            return self._added[token_id].content.encode()
        token = self._tokenizer.id_to_token(token_id)
        if token is None:
            return b""
        if self._is_byte_level:
            return bytes(_BYTES[character] for character in token if character in _BYTES)
        if self._is_sentencepiece:
            byte = _FALLBACK.fullmatch(token)
            return bytes([int(byte[1], 16)]) if byte else token.replace(_SPACE, " ").encode()
        return self._tokenizer.decode([token_id]).encode()

    def has_text(self, token_id: int) -> bool:
        """False for special tokens, which are no part of an answer's text."""
        return token_id not in self._added or not self._added[token_id].special


def _byte_level_alphabet() -> dict[str, int]:
    """The byte of each character of byte-level tokens: GPT-2's `bytes_to_unicode`, reversed."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    moved = {chr(0x100 + place): byte for place, byte in enumerate(others)}
    return {chr(byte): byte for byte in printable} | moved


_BYTES = _byte_level_alphabet()
