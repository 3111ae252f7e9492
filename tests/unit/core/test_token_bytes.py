"""The bytes of single tokens, for the tokenizers that models have."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models

from headrace.core.token_bytes import TokenBytes
from tests.fakes import CARD, EOS
from tests.tiny_models import make_tokenizer
from tests.tokenizers_of_kinds import FALLS_BACK, KINDS, PLAIN

TEXT = "Grüße, 東京 🙂\n\x00"


def test_tokens_of_bytes_add_up_to_the_text() -> None:
    tokens = TokenBytes(CARD.tokenizer)

    assert b"".join(map(tokens.of, CARD.tokenize(TEXT))) == TEXT.encode()
    assert tokens.of(CARD.tokenize("ü")[0]) == "ü".encode()[:1]


def test_tokens_of_sentencepiece_keep_their_space_and_fall_back_to_bytes() -> None:
    for kind in FALLS_BACK:
        tokens, tokenizer = TokenBytes(KINDS[kind]), KINDS[kind]
        assert tokens.of(tokenizer.token_to_id("\u2581time")) == b" time"
        assert tokens.of(tokenizer.token_to_id("<0xE6>")) == b"\xe6"


def test_bytes_may_be_written_in_small_letters() -> None:
    tokenizer = Tokenizer(models.BPE({"<0xe6>": 0, "a": 1}, [], byte_fallback=True))
    tokenizer.decoder = decoders.ByteFallback()
    assert TokenBytes(tokenizer).of(0) == b"\xe6"


def test_what_looks_like_a_byte_is_none_where_the_decoder_knows_of_none() -> None:
    tokenizer = KINDS["metaspace first"]
    assert TokenBytes(tokenizer).of(tokenizer.token_to_id("<0xE6>")) == b"<0xE6>"


@pytest.mark.parametrize(
    ("kind", "token", "data"),
    [
        ("word piece", "play", b" play"),
        ("word piece", "##ing", b"ing"),
        ("word piece", ".", b"."),
        ("undecorated", "water", b" water"),
        ("metaspace always", "\u2581time", b" time"),
    ],
)
def test_tokens_of_other_kinds_are_those_of_the_middle_of_a_text(
    kind: str, token: str, data: bytes
) -> None:
    tokenizer = KINDS[kind]
    assert TokenBytes(tokenizer).of(tokenizer.token_to_id(token)) == data


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_added_token_that_is_not_special_has_its_text(kind: str) -> None:
    tokens, token_id = TokenBytes(KINDS[kind]), KINDS[kind].token_to_id(PLAIN)
    assert tokens.of(token_id).strip() == PLAIN.encode()
    assert tokens.has_text(token_id)


def test_an_added_letter_is_no_byte() -> None:
    """DeepSeek adds letters that byte-level vocabularies use as names of bytes."""
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["ö"])
    tokens = TokenBytes(tokenizer)
    assert b"".join(map(tokens.of, tokenizer.encode("Köln").ids)) == "Köln".encode()


@pytest.mark.parametrize(
    ("token_id", "data", "has_text"), [(256, EOS.encode(), False), (9, b"*", True)]
)
def test_special_tokens_have_a_name_and_no_text(token_id: int, data: bytes, has_text: bool) -> None:
    assert TokenBytes(CARD.tokenizer).of(token_id) == data
    assert TokenBytes(CARD.tokenizer).has_text(token_id) is has_text


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("token_id", [-1, 1_000_000, 2**40])
def test_an_id_beyond_the_tokenizer_has_no_bytes(kind: str, token_id: int) -> None:
    assert TokenBytes(KINDS[kind]).of(token_id) == b""
    assert not TokenBytes(KINDS[kind]).has_text(token_id)
