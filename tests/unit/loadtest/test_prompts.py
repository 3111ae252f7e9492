from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.errors import InvalidRequest
from headrace.loadtest.prompts import FilePrompts, Prompts, WordLength, WordPrompts
from headrace.loadtest.words import WORDS


def texts(prompts: Prompts, count: int, prompt_tokens: int = 12) -> list[str]:
    return [prompts.next(prompt_tokens, 4).messages[0]["content"] for _ in range(count)]


def test_no_prompt_comes_twice() -> None:
    assert len(set(texts(WordPrompts(WordLength(), seed=0), 1000))) == 1000


def test_a_prompt_has_as_many_words_as_its_tokens_need() -> None:
    length = WordLength.measured(few=(8, 21), many=(40, 85))  # 5 + 2 tokens a word
    [text] = texts(WordPrompts(length, seed=0), 1, prompt_tokens=25)
    assert len(text.split()) == 10


def test_a_template_longer_than_the_prompt_leaves_one_word() -> None:
    assert WordLength(overhead=40.0).words(32) == 1


def test_a_seed_gives_the_same_prompts_again() -> None:
    assert texts(WordPrompts(WordLength(), 1), 5) == texts(WordPrompts(WordLength(), 1), 5)
    assert texts(WordPrompts(WordLength(), 1), 5) != texts(WordPrompts(WordLength(), 2), 5)


def test_repeated_prompts_are_all_the_same() -> None:
    assert len(set(texts(WordPrompts(WordLength(), seed=0, repeat=True), 10))) == 1


def test_repetitions_that_cannot_be_avoided_are_noted() -> None:
    prompts = WordPrompts(WordLength(), seed=0)
    texts(prompts, len(WORDS) + 3, prompt_tokens=1)
    assert "too few words" in prompts.notes[0]


def test_prompts_of_a_file_come_in_turn(tmp_path: Path) -> None:
    file = tmp_path / "prompts"
    file.write_text(
        'Why?\n\n{"prompt": "How?"}\n{"messages": [{"role": "user", "content": "A"}]}\n'
    )
    prompts = FilePrompts(file)
    assert texts(prompts, 3) == ["Why?", "How?", "A"]
    assert prompts.notes == ()
    assert texts(prompts, 1) == ["Why?"]
    assert prompts.notes == ("prompts are repeated: the file has 3",)


@pytest.mark.parametrize("line", ['{"prompt": 3}', '{"messages": []}', "{what", '{"text": "a"}'])
def test_a_line_that_is_no_prompt_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "prompts"
    file.write_text("Why?\n" + line)
    with pytest.raises(InvalidRequest, match=r"--prompts: .*: line 2: "):
        FilePrompts(file)
