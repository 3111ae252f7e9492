"""The bytes of single tokens, for the tokenizers that models have."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from headrace.core.token_bytes import TokenBytes
from tests.fakes import CARD, EOS

TEXT = "Grüße, 東京 🙂\n\x00"


def sentencepiece() -> Tokenizer:
    bytes_ = {f"<0x{byte:02X}>": byte for byte in range(256)}
    vocabulary = {**bytes_, "\u2581": 256, "\u2581hi": 257, "<unk>": 258}
    model = models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer


def test_tokens_of_bytes_add_up_to_the_text() -> None:
    tokens = TokenBytes(CARD.tokenizer)

    assert b"".join(map(tokens.of, CARD.tokenize(TEXT))) == TEXT.encode()
    assert tokens.of(CARD.tokenize("ü")[0]) == "ü".encode()[:1]


def test_tokens_of_sentencepiece_keep_their_space_and_fall_back_to_bytes() -> None:
    tokens = TokenBytes(sentencepiece())

    assert tokens.of(257) == b" hi"
    assert tokens.of(0xE6) == b"\xe6"


def test_tokens_of_other_kinds_are_decoded() -> None:
    tokenizer = Tokenizer(models.WordPiece({"play": 0, "##ing": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece()

    assert TokenBytes(tokenizer).of(0) == b"play"


@pytest.mark.parametrize(
    ("token_id", "data", "has_text"), [(256, EOS.encode(), False), (9, b"*", True)]
)
def test_special_tokens_have_a_name_and_no_text(token_id: int, data: bytes, has_text: bool) -> None:
    assert TokenBytes(CARD.tokenizer).of(token_id) == data
    assert TokenBytes(CARD.tokenizer).has_text(token_id) is has_text


def test_an_id_beyond_the_tokenizer_has_no_bytes() -> None:
    assert TokenBytes(CARD.tokenizer).of(1_000_000) == b""
