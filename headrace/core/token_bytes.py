"""The bytes that tokens stand for; one token may be a part of a character only."""

from __future__ import annotations

import re
from functools import cache, cached_property

from tokenizers import Tokenizer

_FALLBACK = re.compile(r"<0x([0-9A-Fa-f]{2})>")
"""A byte that has no token of its own, as SentencePiece writes it."""

_LARGEST_ID = 2**32 - 1
"""The tokenizers library raises for larger ones."""


class TokenBytes:
    """Reads a tokenizer's vocabulary as its decoder would, but token by token.

    Decoders join the tokens of a text by two rules. At the start of a text they leave a space out.
    Elsewhere a token adds the same bytes whatever stands before it, or depends on the token before
    it (a space stands between two words). Special tokens have no text if they are skipped.
    """

    def __init__(self, tokenizer: Tokenizer, skip_special_tokens: bool = True) -> None:
        decoder = tokenizer.decoder.__getstate__() if tokenizer.decoder else b""
        self._tokenizer = tokenizer
        self._skips_special = skip_special_tokens
        self._added = tokenizer.get_added_tokens_decoder()
        self._is_byte_level = b'"ByteLevel"' in decoder
        self._falls_back = b'"ByteFallback"' in decoder
        self._fixed = cache(self._look_up)
        self.whole_text = cache(self._whole_text)  # at each token of each output

    def of(self, token_id: int) -> bytes:
        """The bytes of a token in the middle of a text; of a special token its name.

        Empty for an id that the tokenizer does not know: models may have some to spare.
        """
        if self._is_special(token_id):
            return self._added[token_id].content.encode()
        return self.behind(self._anchor, token_id)

    def behind(self, before: int | None, token_id: int) -> bytes:
        """What a token adds to a text that ends with the token `before`; to no text if None."""
        data = self._fixed(token_id)
        if data is not None:
            return data
        if before is None:
            return self._decode(token_id).encode()
        known = len(self._decode(before))
        return self._decode(before, token_id)[known:].encode()

    def has_text(self, token_id: int) -> bool:
        """False for special tokens that are skipped, and for unknown ids."""
        is_skipped = self._skips_special and self._is_special(token_id)
        return not is_skipped and self._fixed(token_id) != b""

    def _whole_text(self, token_id: int) -> str | None:
        """The text of a token that is whole characters, and alike in all places.

        Empty for a token without text; None for one that needs its neighbours.
        """
        if not self.has_text(token_id):
            return ""
        data = self._fixed(token_id)
        try:
            return None if data is None else data.decode()
        except UnicodeDecodeError:
            return None

    def _decode(self, *token_ids: int) -> str:
        text: str = self._tokenizer.decode(token_ids, skip_special_tokens=self._skips_special)
        return text

    def _is_special(self, token_id: int) -> bool:
        return token_id in self._added and self._added[token_id].special

    def _look_up(self, token_id: int) -> bytes | None:
        """The bytes of a token that are alike in all places, and may be a part of a character.

        None where only the decoder knows them.
        """
        if self._is_byte_level and token_id in self._added:
            return self._added[token_id].content.encode()
        token = self._tokenizer.id_to_token(token_id) if 0 <= token_id <= _LARGEST_ID else None
        if not token:
            return b""
        if self._is_byte_level:
            is_plain = all(character in _BYTES for character in token)
            return bytes(map(_BYTES.__getitem__, token)) if is_plain else token.encode()
        byte = _FALLBACK.fullmatch(token) if self._falls_back else None
        return bytes([int(byte[1], 16)]) if byte else None

    @cached_property
    def _anchor(self) -> int | None:
        """A token to stand before another one, so that this is not the first."""
        ids = range(self._tokenizer.get_vocab_size(with_added_tokens=True))
        usable = (id_ for id_ in ids if id_ not in self._added and self._fixed(id_) is None)
        return next((id_ for id_ in usable if self._decode(id_)), None)


def _byte_level_alphabet() -> dict[str, int]:
    """The byte of each character of byte-level tokens: GPT-2's `bytes_to_unicode`, reversed."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    moved = {chr(0x100 + place): byte for place, byte in enumerate(others)}
    return {chr(byte): byte for byte in printable} | moved


_BYTES = _byte_level_alphabet()
