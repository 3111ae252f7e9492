"""Complaints of verdicts under the bounds of today."""

from __future__ import annotations

import pytest

from headrace.core.json_schema.verdict import MOST_STEP_S, Verdict


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict(0.5), None),
        (Verdict(0.5, MOST_STEP_S), None),
        (Verdict(2.0), "2 s of CPU time"),
        (Verdict(0.5, 2 * MOST_STEP_S), "20 ms of CPU time a token"),
        (Verdict(0.5, refusal="Unsupported type"), "Unsupported type"),
    ],
)
def test_it_complains_about_what_takes_too_long(verdict: Verdict, words: str | None) -> None:
    complaint = Verdict.decode(verdict.encode()).complaint(most_s=2.0)
    assert (complaint is None) if words is None else (words in str(complaint))


def test_a_trial_that_was_broken_off_says_nothing_once_more_time_is_allowed() -> None:
    broken_off = Verdict(2.0, is_whole=False)
    assert not broken_off.says_nothing(most_s=2.0)
    assert broken_off.says_nothing(most_s=5.0)


def test_fields_of_later_versions_are_passed_over() -> None:
    assert Verdict.decode('{"compile_s": 0.1, "colour": "red"}') == Verdict(0.1)
