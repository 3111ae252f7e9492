from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from batcher.detokenizer import Detokenizer
from headrace.core.token_bytes import TokenBytes
from tests.tiny_models import END, make_tokenizer
from tests.tokenizers_of_kinds import KINDS

BYTE_LEVEL = make_tokenizer()
TOKENS = TokenBytes(BYTE_LEVEL)
SIZE = BYTE_LEVEL.get_vocab_size()
TEXTS = st.text(alphabet=st.sampled_from("ab cé東京🙂 \n"), max_size=30)
IDS = st.lists(st.integers(0, SIZE - 1), max_size=60)


@given(prompt=IDS, ids=IDS, cuts=st.lists(st.integers(0, 60)), stop=st.lists(TEXTS, max_size=3))
def test_text_after_so_many_ids_does_not_depend_on_their_grouping(
    prompt: list[int], ids: list[int], cuts: list[int], stop: list[str]
) -> None:
    singly, grouped = Detokenizer(TOKENS, prompt, stop), Detokenizer(TOKENS, prompt, stop)
    released = list(accumulate((singly.add([token_id]) for token_id in ids), initial=""))
    text, start = "", 0
    for cut in sorted({min(cut, len(ids)) for cut in cuts}):
        text, start = text + grouped.add(ids[start:cut]), cut
        assert text == released[cut]


@given(text=TEXTS, stop=st.lists(TEXTS.filter(bool), min_size=1, max_size=3))
def test_no_text_from_the_first_stop_string_on_is_given_out(text: str, stop: list[str]) -> None:
    detokenizer = Detokenizer(TOKENS, (), stop)
    given_out = detokenizer.add(BYTE_LEVEL.encode(text).ids)
    given_out += detokenizer.flush()
    assert detokenizer.stopped == any(string in text for string in stop)
    assert text.startswith(given_out)
    assert not any(string in given_out for string in stop)
    if not detokenizer.stopped:
        assert given_out == text


def test_a_character_over_several_tokens_appears_whole() -> None:
    detokenizer = Detokenizer(TOKENS)
    ids = BYTE_LEVEL.encode("🦆").ids
    assert len(ids) == 4
    assert [detokenizer.add([token_id]) for token_id in ids] == ["", "", "", "🦆"]


def test_text_that_may_begin_a_stop_string_waits_until_it_cannot() -> None:
    detokenizer = Detokenizer(TOKENS, (), ["\n\nUser"])
    deltas = [detokenizer.add(BYTE_LEVEL.encode(part).ids) for part in ("Yes.\n", "\nUs", "e it")]
    assert deltas == ["Yes.", "", "\n\nUse it"]


def test_what_was_held_back_comes_at_the_end_of_an_output_without_a_stop() -> None:
    detokenizer = Detokenizer(TOKENS, (), ["\n\nUser"])
    assert detokenizer.add(BYTE_LEVEL.encode("Yes.\n\nUs").ids) == "Yes."
    assert detokenizer.flush() == "\n\nUs"
    assert detokenizer.flush() == ""


def test_nothing_follows_a_stop_string() -> None:
    detokenizer = Detokenizer(TOKENS, (), ["stop"])
    assert detokenizer.add(BYTE_LEVEL.encode("do stop here").ids) == "do "
    assert detokenizer.stopped
    assert detokenizer.add(BYTE_LEVEL.encode("more").ids) == ""
    assert detokenizer.flush() == ""


def test_a_stop_string_among_the_first_tokens_counts_for_nothing() -> None:
    ids = BYTE_LEVEL.encode("stop or stop it").ids
    least = len(BYTE_LEVEL.encode("stop").ids)
    eager, patient = Detokenizer(TOKENS, stop=["stop"]), Detokenizer(TOKENS, (), ["stop"], least)
    assert eager.add(ids) == ""
    assert patient.add(ids) == "stop or "


def test_a_stop_string_that_begins_among_the_first_tokens_and_ends_behind_them_counts() -> None:
    ids = BYTE_LEVEL.encode("abc").ids
    detokenizer = Detokenizer(TOKENS, (), ["ab", "abc"], len(BYTE_LEVEL.encode("ab").ids))
    assert detokenizer.add(ids) == ""
    assert detokenizer.stopped


def test_text_held_back_among_the_first_tokens_ends_nothing_later() -> None:
    detokenizer = Detokenizer(TOKENS, (), ["ab", "abcd"], len(BYTE_LEVEL.encode("ab").ids))
    assert detokenizer.add(BYTE_LEVEL.encode("abx").ids) == "abx"


def test_special_tokens_have_text_where_they_are_not_skipped() -> None:
    detokenizer = Detokenizer(TokenBytes(BYTE_LEVEL, skip_special_tokens=False), stop=["no"])
    ids = [*BYTE_LEVEL.encode("ok").ids, BYTE_LEVEL.token_to_id(END), *BYTE_LEVEL.encode("!").ids]
    assert detokenizer.add(ids) == f"ok{END}!"


def test_special_tokens_have_no_text() -> None:
    detokenizer = Detokenizer(TOKENS)
    ids = [BYTE_LEVEL.token_to_id(END), *BYTE_LEVEL.encode("ok").ids]
    assert detokenizer.add(ids) == "ok"


def test_a_run_of_broken_bytes_is_not_held_for_ever() -> None:
    detokenizer = Detokenizer(TOKENS)
    broken = BYTE_LEVEL.encode("東").ids[0]
    assert detokenizer.add([broken] * 10) == "\ufffd" * 9
    assert detokenizer.flush() == "\ufffd"


def test_a_stop_string_that_the_prompt_began_is_not_met() -> None:
    detokenizer = Detokenizer(TOKENS, BYTE_LEVEL.encode("do s").ids, ["stop"])
    assert detokenizer.add(BYTE_LEVEL.encode("top").ids) + detokenizer.flush() == "top"


class Counting:
    """A tokenizer that notes how many ids it decodes."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.most = 0
        self._tokenizer = tokenizer

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        self.most = max(self.most, len(ids))
        return self._tokenizer.decode(ids, skip_special_tokens)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_work_for_a_token_grows_neither_with_the_prompt_nor_with_the_output(kind: str) -> None:
    counting = Counting(KINDS[kind])
    tokens = TokenBytes(cast(Tokenizer, counting))
    ids = [token_id for token_id in range(KINDS[kind].get_vocab_size())] * 3
    Detokenizer(tokens, ids).add(ids)
    assert counting.most <= 2
