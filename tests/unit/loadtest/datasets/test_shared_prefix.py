from __future__ import annotations

from collections import Counter

from headrace.loadtest.datasets.shared_prefix import PrefixPrompts, SharedPrefix
from headrace.loadtest.prompts import WordLength

LENGTH = WordLength(overhead=5.0, tokens_a_word=2.0)


def texts(count: int, prefixes: int = 3, seed: int = 0) -> list[list[str]]:
    source = PrefixPrompts(SharedPrefix(prefixes, prefix_tokens=100), LENGTH, seed)
    return [source.next(40, 4).messages[0]["content"].split() for _ in range(count)]


def test_each_prefix_comes_as_often_as_every_other() -> None:
    counts = Counter(" ".join(words[:50]) for words in texts(30))
    assert sorted(counts.values()) == [10, 10, 10]


def test_a_suffix_is_its_own() -> None:
    assert len({" ".join(words[50:]) for words in texts(30)}) == 30


def test_a_prompt_has_the_tokens_of_prefix_and_suffix() -> None:
    assert {5 + 2 * len(words) for words in texts(30)} <= {139, 140, 141}


def test_a_seed_gives_the_same_prefixes_again() -> None:
    assert texts(6) == texts(6)
    assert texts(6) != texts(6, seed=1)
