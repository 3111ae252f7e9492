"""Users of a closed loop, and the tokens that a window sees of their answers."""

from __future__ import annotations

import pytest

from bench.closed_loop import Answer, Course, DrawnPrompts, first_token_s, tokens_within
from headrace.loadtest.prompts import WordLength

COURSE = Course(
    users=2,
    seed=0,
    begins_at=100.0,
    warm_up_s=1.0,
    seconds=4.0,
    prompt_tokens=8,
    output_tokens=10,
)


def test_a_course_crosses_a_pipe() -> None:
    assert Course(**COURSE.encode()) == COURSE
    assert (COURSE.opens_at, COURSE.closes_at) == (101.0, 105.0)


def test_an_answer_crosses_a_pipe() -> None:
    answer = Answer(1.0, 2.0, 3.0, 4)

    assert Answer.decode(answer.encode()) == answer


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        (Answer(101.0, 102.0, 104.0, 11), 11),  # all of it
        (Answer(99.0, 100.0, 102.0, 11), 5),  # began in the warm-up
        (Answer(103.0, 104.0, 106.0, 11), 6),  # ends behind the window
        (Answer(99.0, 100.0, 110.0, 11), 4),  # is longer than the window
        (Answer(99.0, 100.0, 100.5, 11), 0),  # ended in the warm-up
        (Answer(102.0, 103.0, 103.0, 1), 1),  # has one token
    ],
)
def test_a_window_counts_the_tokens_that_come_while_it_is_open(
    answer: Answer, tokens: float
) -> None:
    assert tokens_within([answer, answer], COURSE) == pytest.approx(2 * tokens)


def test_first_tokens_count_by_when_they_were_asked_for() -> None:
    answers = [Answer(asked, asked + 0.25, asked + 1, 5) for asked in (100.5, 101.0, 104.5, 105.0)]

    assert first_token_s(answers, COURSE) == [0.25, 0.25]


def test_answers_are_half_to_one_and_a_half_as_long_as_asked_for() -> None:
    prompts = DrawnPrompts(WordLength(), seed=1)
    lengths = [prompts.next(8, 10).max_tokens for _prompt in range(200)]

    assert (min(lengths), max(lengths)) == (5, 15)


def test_the_same_seed_asks_for_the_same() -> None:
    one, other = (DrawnPrompts(WordLength(), seed=3) for _side in range(2))

    assert [one.next(8, 10) for _prompt in range(5)] == [other.next(8, 10) for _prompt in range(5)]
