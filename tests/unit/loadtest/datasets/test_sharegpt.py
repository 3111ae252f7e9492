from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.errors import Unavailable
from headrace.loadtest.datasets.conversations import Conversation, Conversations, Exchange
from headrace.loadtest.datasets.sharegpt import ShareGpt, ShareGptPrompts


def prompts(
    *kept: Conversation, seed: int = 0, think_s: float = 0.0, left_out: int = 0
) -> ShareGptPrompts:
    found = Conversations(kept, "", len(kept) + left_out, left_out, True)
    dataset = ShareGpt(Path("chats.json"), 3, think_s, found=found)
    return ShareGptPrompts(dataset, characters_a_token=4.0, seed=seed)


def a_chat(number: int = 0, question: int = 40, answers: tuple[int, ...] = (80,)) -> Conversation:
    text = f"{number:04d}".ljust(question, "x")
    return Conversation("", [Exchange(text, answer) for answer in answers])


def test_an_answer_is_as_long_as_it_was_unless_the_load_says_how_long() -> None:
    chats = prompts(a_chat(answers=(80,)))
    assert chats.next(0, 0).max_tokens == 20
    assert chats.next(0, 7).max_tokens == 7


def test_later_turns_follow_with_the_servers_own_answers() -> None:
    first = prompts(a_chat(answers=(80, 40)), think_s=2.0).next(0, 0)
    second = first.then("mine")
    assert second is not None
    assert [each["role"] for each in second.messages] == ["user", "assistant", "user"]
    assert (second.messages[1]["content"], second.max_tokens, second.turn) == ("mine", 10, 2)
    assert (first.think_s, second.then("mine")) == (2.0, None)


def test_a_system_message_goes_first() -> None:
    prompt = prompts(Conversation("Be brief.", [Exchange("Why? " * 8, 80)])).next(0, 0)
    assert prompt.messages[0] == {"role": "system", "content": "Be brief."}


def test_conversations_come_in_an_order_of_the_seed_and_then_again() -> None:
    chats = [a_chat(number) for number in range(8)]
    taken = [
        [source.next(0, 0).messages[0]["content"] for _ in range(16)]
        for source in (prompts(*chats), prompts(*chats), prompts(*chats, seed=1))
    ]
    assert taken[0] == taken[1] != taken[2]
    assert taken[0][:8] == taken[0][8:]
    assert sorted(taken[0][:8]) == sorted(taken[2][:8])


def test_what_is_too_short_or_too_long_is_left_out_and_said() -> None:
    long = a_chat(1, question=4 * 1025)
    short = a_chat(2, answers=(12,))
    fits = a_chat(3, question=4 * 1024, answers=(4 * 1024,))
    source = prompts(long, short, fits, left_out=2)
    assert {source.next(0, 0).messages[0]["content"][:4] for _ in range(3)} == {"0003"}
    assert "2 of 5 conversations are left out: not of 4 to 1,024 prompt tokens" in source.notes[1]
    assert "lengths are reckoned at 4.00 characters a token" in source.notes
    assert "conversations are repeated: 1 can be sent" in source.notes


def test_a_conversation_ends_before_the_turn_that_does_not_fit() -> None:
    prompt = prompts(a_chat(question=4 * 600, answers=(4 * 600, 4 * 600))).next(0, 0)
    assert prompt.later == []


def test_where_no_conversation_fits_it_is_said() -> None:
    with pytest.raises(Unavailable, match=r"chats.json has no conversation of 4 to 1,024"):
        prompts(a_chat(answers=(4,)))
