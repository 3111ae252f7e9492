"""An output's text goes on where its prompt ends, for the tokenizers that models have."""

from __future__ import annotations

from itertools import takewhile

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from headrace.core.token_bytes import TokenBytes
from headrace.core.token_text import REPLACEMENT, TokenText
from tests.tokenizers_of_kinds import FALLS_BACK, KINDS, PLAIN, SPECIAL, ids_of

TOKENS = {name: TokenBytes(tokenizer) for name, tokenizer in KINDS.items()}
BYTE_LEVEL = KINDS["byte level"]
SHOWN = {name: TokenBytes(tokenizer, False) for name, tokenizer in KINDS.items()}
"""The same, with the text of special tokens."""

TEXTS = st.text(alphabet=st.sampled_from("ab cé東京🙂 \n\t"), max_size=20)


def text_of(kind: str, prompt_ids: list[int], output_ids: list[int]) -> str:
    text = TokenText(TOKENS[kind], prompt_ids)
    return "".join(map(text.add, output_ids)) + text.flush()


def difference(
    tokenizer: Tokenizer, prompt_ids: list[int], output_ids: list[int], skips: bool = True
) -> str:
    """Prompt and output as the tokenizer decodes them, less the prompt's whole characters."""
    together = tokenizer.decode(prompt_ids + output_ids, skips)
    begins = (tokenizer.decode(prompt_ids[:count], skips) for count in range(len(prompt_ids) + 1))
    return together[max(shared_characters(begin, together) for begin in begins) :]


def shared_characters(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


@st.composite
def ids_of_kind(draw: st.DrawFn) -> tuple[str, list[int], int]:
    """A kind, ids of its tokens and of whole characters, and where the prompt ends."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    tokenizer = KINDS[kind]
    if kind == "byte level":
        ids = draw(st.lists(st.integers(0, tokenizer.get_vocab_size() - 1), max_size=12))
        return kind, ids, draw(st.integers(0, len(ids)))
    pieces = sorted(token for token in tokenizer.get_vocab() if not token.startswith("<0x"))
    characters = list("é東🙂€\n\t") if kind in FALLS_BACK else []
    ids = ids_of(tokenizer, draw(st.lists(st.sampled_from(pieces + characters), max_size=12)))
    return kind, ids, draw(st.integers(0, len(ids)))


@given(ids_of_kind())
def test_the_text_is_what_the_output_adds_to_the_prompt(found: tuple[str, list[int], int]) -> None:
    kind, ids, end = found
    expected = difference(KINDS[kind], ids[:end], ids[end:])
    assert text_of(kind, ids[:end], ids[end:]) == expected


@given(ids_of_kind())
def test_special_tokens_that_are_not_skipped_have_their_place_in_it(
    found: tuple[str, list[int], int],
) -> None:
    kind, ids, end = found
    text = TokenText(SHOWN[kind], ids[:end])
    shown = "".join(map(text.add, ids[end:])) + text.flush()
    assert shown == difference(KINDS[kind], ids[:end], ids[end:], skips=False)


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_any_ids_have_a_text_that_grows_id_by_id(kind: str, data: st.DataObject) -> None:
    some = st.lists(st.integers(0, KINDS[kind].get_vocab_size() + 2), max_size=12)
    prompt, output = data.draw(some), data.draw(some)
    whole = text_of(kind, prompt, output)
    begun = TokenText(TOKENS[kind], prompt)
    so_far = "".join(map(begun.add, output[:-1]))
    assert whole.startswith(so_far)


@pytest.mark.parametrize("kind", sorted(FALLS_BACK))
@given(prompt=TEXTS, output=TEXTS.filter(bool), data=st.data())
def test_a_prompt_may_end_in_the_middle_of_a_character(
    kind: str, prompt: str, output: str, data: st.DataObject
) -> None:
    tokenizer = KINDS[kind]
    ids = tokenizer.encode(prompt + output).ids
    assume(REPLACEMENT not in tokenizer.decode(ids))
    end = data.draw(st.integers(0, len(ids)))
    assert text_of(kind, ids[:end], ids[end:]) == difference(tokenizer, ids[:end], ids[end:])


@pytest.mark.parametrize("kind", ["llama 2", "gemma", "metaspace first", "metaspace always"])
@pytest.mark.parametrize("word", ["▁time", "▁▁▁▁", "▁"])
def test_the_first_space_of_an_output_is_kept(kind: str, word: str) -> None:
    tokenizer = KINDS[kind]
    prompt = tokenizer.encode("the a").ids
    assert text_of(kind, prompt, ids_of(tokenizer, [word])) == word.replace("▁", " ")


@pytest.mark.parametrize("kind", ["llama 2", "metaspace first", "metaspace always"])
def test_the_space_that_encoding_puts_before_a_text_is_none_of_the_output(kind: str) -> None:
    tokenizer = KINDS[kind]
    no_text = ids_of(tokenizer, [SPECIAL])
    assert text_of(kind, no_text, ids_of(tokenizer, ["▁time"])) == "time"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_special_tokens_at_the_end_of_a_prompt_hide_nothing_of_what_stands_before(
    kind: str,
) -> None:
    tokenizer = KINDS[kind]
    some = [token_id for token_id in range(300, 303) if tokenizer.id_to_token(token_id)] or [2, 4]
    prompt = [*some, *ids_of(tokenizer, [SPECIAL] * 9)]
    output = ids_of(tokenizer, [PLAIN, SPECIAL]) + some
    expected = difference(tokenizer, prompt, output)
    assert PLAIN in expected
    assert text_of(kind, prompt, output) == expected


@pytest.mark.parametrize("kind", sorted(FALLS_BACK))
def test_a_broken_byte_costs_no_character_beside_it(kind: str) -> None:
    """The tokenizers' own decoder gives up all of a run of bytes where one of them is broken."""
    tokenizer = KINDS[kind]
    broken = ids_of(tokenizer, ["<0xE6>"])
    prompt = ids_of(tokenizer, ["a", "東"])
    output = [*ids_of(tokenizer, ["東"]), *broken, *ids_of(tokenizer, ["東", "\n", "x"]), *broken]
    assert text_of(kind, prompt, output) == f"東{REPLACEMENT}東\nx{REPLACEMENT}"


def test_what_the_prompt_began_and_nothing_finished_is_no_output() -> None:
    begun = BYTE_LEVEL.encode("東").ids[:1]
    assert text_of("byte level", begun, BYTE_LEVEL.encode("ab").ids) == "ab"
    assert text_of("byte level", begun, []) == ""
    assert text_of("byte level", begun, BYTE_LEVEL.encode("東").ids[1:]) == "東"


def test_a_token_may_end_a_word_and_begin_a_character() -> None:
    """As Llama 3's token of a space and three of the four bytes of a hieroglyph."""
    tokenizer = Tokenizer(models.BPE({"Ġæ": 0, "Ŀ": 1, "±": 2, "x": 3}, []))
    tokenizer.decoder = decoders.ByteLevel()
    text = TokenText(TokenBytes(tokenizer), [3, 0])
    assert [text.add(1), text.add(2)] == ["", "東"]
