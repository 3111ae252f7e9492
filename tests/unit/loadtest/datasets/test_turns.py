from __future__ import annotations

from headrace.loadtest.datasets.turns import TurnPrompts, Turns
from headrace.loadtest.prompts import WordLength


def test_a_conversation_has_its_turns_each_unlike_all_before() -> None:
    source = TurnPrompts(Turns(turns=3, think_s=0.5), WordLength(), seed=0)
    prompt, said = source.next(12, 4), set[str]()
    for turn in (1, 2, 3):
        assert prompt.turn == turn
        assert len(prompt.messages) == 2 * turn - 1
        assert (prompt.max_tokens, prompt.think_s) == (4, 0.5)
        said.add(prompt.messages[-1]["content"])
        following = prompt.then("an answer")
        if following is not None:
            prompt = following
    assert following is None
    assert len(said) == 3
    assert {len(text.split()) for text in said} == {12}
