"""The size of a pattern, whatever its dialect."""

from __future__ import annotations

import time

import pytest

from headrace.core.json_schema.pattern_size import MOST_COPIES, pattern_size


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("", 0),
        ("abc", 3),
        ("[a-y]{1,40}", 40),
        ("(ab){3}", 6),
        ("ab{3}", 4),
        ("a{2,}", 2),
        ("a*b+c??", 3),
        ("(a|bc){4}", 12),
        ("((a{2}){3}){4}", 24),
        ("(?<year>[0-9]{4})-(?:x|y)", 7),
        (r"\p{Letter}{5}\u{1F600}", 6),
        (r"[\]{9}]{2}", 2),
        (r"\(\{3\}", 4),
        ("a{,3}", 5),
        (r"(?!a)(?<=b)", 2),
    ],
)
def test_repeats_are_written_out(pattern: str, size: int) -> None:
    assert pattern_size(pattern) == size


def test_nested_repeats_multiply() -> None:
    assert pattern_size("^(((([a-y]{1,40}){1,40}){1,40}){1,40})$") == 40**4 + 2


@pytest.mark.parametrize("most", ["257", "100000", "9" * 5000])
def test_a_long_repeat_counts_as_what_a_grammar_writes_out(most: str) -> None:
    assert pattern_size(f"a{{1,{most}}}") == MOST_COPIES


@pytest.mark.parametrize(
    "part", ["[", "(", ")", "\\", "{1", r"\p{", "(?<a", "a{1,", "[\\", "(?", "|", "*"]
)
def test_a_broken_pattern_has_a_size_as_well_and_holds_nobody_up(part: str) -> None:
    began = time.process_time()
    assert pattern_size(part * 20_000) >= 0
    assert time.process_time() - began < 1
