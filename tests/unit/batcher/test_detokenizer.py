from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models

from batcher.detokenizer import Detokenizer
from tests.tiny_models import END, make_tokenizer

BYTE_LEVEL = make_tokenizer()
SIZE = BYTE_LEVEL.get_vocab_size()
TEXTS = st.text(alphabet=st.sampled_from("ab cé東京🙂 \n"), max_size=30)
IDS = st.lists(st.integers(0, SIZE - 1), max_size=60)


def sentencepiece_style() -> Tokenizer:
    """As Llama 2's: words carry their space in front as "▁", other characters are bytes."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", "▁the", "▁water", "▁runs", "s", "er"]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: n for n, piece in enumerate(pieces)},
            merges=[],
            unk_token="<unk>",
            byte_fallback=True,
        )
    )
    tokenizer.add_special_tokens(
        [AddedToken("<s>", special=True), AddedToken("</s>", special=True)]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer


SENTENCEPIECE = sentencepiece_style()


def whole_text(tokenizer: Tokenizer, ids: list[int]) -> str:
    """The text by feeding one id at a time."""
    detokenizer = Detokenizer(tokenizer)
    return "".join(detokenizer.add([token_id]) for token_id in ids) + detokenizer.flush()


@given(ids=IDS)
def test_any_bytes_come_out_as_the_tokenizer_decodes_them_at_once(ids: list[int]) -> None:
    assert whole_text(BYTE_LEVEL, ids) == BYTE_LEVEL.decode(ids)


@given(
    words=st.lists(
        st.one_of(
            st.sampled_from(["<s>", "</s>", "▁", "▁the", "▁water", "▁runs", "s", "er"]),
            st.sampled_from("é東🙂€"),
        )
    )
)
def test_leading_spaces_come_out_as_the_tokenizer_decodes_them_at_once(words: list[str]) -> None:
    ids = [
        token_id
        for word in words
        for token_id in (
            [SENTENCEPIECE.token_to_id(word)]
            if SENTENCEPIECE.token_to_id(word) is not None
            else [SENTENCEPIECE.token_to_id(f"<0x{byte:02X}>") for byte in word.encode()]
        )
    ]
    assert whole_text(SENTENCEPIECE, ids) == SENTENCEPIECE.decode(ids)


@given(ids=IDS, cuts=st.lists(st.integers(0, 60)), stop=st.lists(TEXTS, max_size=3))
def test_text_after_so_many_ids_does_not_depend_on_their_grouping(
    ids: list[int], cuts: list[int], stop: list[str]
) -> None:
    singly, grouped = Detokenizer(BYTE_LEVEL, stop), Detokenizer(BYTE_LEVEL, stop)
    released = list(accumulate((singly.add([token_id]) for token_id in ids), initial=""))
    text, start = "", 0
    for cut in sorted({min(cut, len(ids)) for cut in cuts}):
        text, start = text + grouped.add(ids[start:cut]), cut
        assert text == released[cut]


@given(text=TEXTS, stop=st.lists(TEXTS.filter(bool), min_size=1, max_size=3))
def test_no_text_from_the_first_stop_string_on_is_given_out(text: str, stop: list[str]) -> None:
    detokenizer = Detokenizer(BYTE_LEVEL, stop)
    given_out = detokenizer.add(BYTE_LEVEL.encode(text).ids)
    given_out += detokenizer.flush()
    assert detokenizer.stopped == any(string in text for string in stop)
    assert text.startswith(given_out)
    assert not any(string in given_out for string in stop)
    if not detokenizer.stopped:
        assert given_out == text


def test_a_character_over_several_tokens_appears_whole() -> None:
    detokenizer = Detokenizer(BYTE_LEVEL)
    ids = BYTE_LEVEL.encode("🦆").ids
    assert len(ids) == 4
    assert [detokenizer.add([token_id]) for token_id in ids] == ["", "", "", "🦆"]


def test_text_that_may_begin_a_stop_string_waits_until_it_cannot() -> None:
    detokenizer = Detokenizer(BYTE_LEVEL, ["\n\nUser"])
    deltas = [detokenizer.add(BYTE_LEVEL.encode(part).ids) for part in ("Yes.\n", "\nUs", "e it")]
    assert deltas == ["Yes.", "", "\n\nUse it"]


def test_what_was_held_back_comes_at_the_end_of_an_output_without_a_stop() -> None:
    detokenizer = Detokenizer(BYTE_LEVEL, ["\n\nUser"])
    assert detokenizer.add(BYTE_LEVEL.encode("Yes.\n\nUs").ids) == "Yes."
    assert detokenizer.flush() == "\n\nUs"
    assert detokenizer.flush() == ""


def test_nothing_follows_a_stop_string() -> None:
    detokenizer = Detokenizer(BYTE_LEVEL, ["stop"])
    assert detokenizer.add(BYTE_LEVEL.encode("do stop here").ids) == "do "
    assert detokenizer.stopped
    assert detokenizer.add(BYTE_LEVEL.encode("more").ids) == ""
    assert detokenizer.flush() == ""


def test_special_tokens_have_no_text() -> None:
    detokenizer = Detokenizer(BYTE_LEVEL)
    ids = [BYTE_LEVEL.token_to_id(END), *BYTE_LEVEL.encode("ok").ids]
    assert detokenizer.add(ids) == "ok"


def test_a_run_of_broken_bytes_is_not_held_for_ever() -> None:
    detokenizer = Detokenizer(BYTE_LEVEL)
    broken = BYTE_LEVEL.encode("東").ids[0]
    assert detokenizer.add([broken] * 10) == "\ufffd" * 7
    assert detokenizer.flush() == "\ufffd" * 3


@pytest.mark.parametrize("length", [200, 400])
def test_the_work_for_a_token_does_not_grow_with_the_output(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    detokenizer = Detokenizer(BYTE_LEVEL)
    decode = detokenizer._decode
    monkeypatch.setattr(
        detokenizer, "_decode", lambda: (decoded.append(len(detokenizer._window)), decode())[1]
    )
    detokenizer.add(BYTE_LEVEL.encode("water " * length).ids)
    assert max(decoded) <= 3
