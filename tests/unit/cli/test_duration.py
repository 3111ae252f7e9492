from __future__ import annotations

import click
import pytest

from headrace.cli.duration import duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("0", 0),
        ("45s", 45),
        ("30m", 1800),
        ("1h", 3600),
        ("1.5h", 5400),
        ("2d", 172_800),
    ],
)
def test_a_length_of_time_is_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1h", "1w", "1 h", "1h30m", "nan", "1e9"])
def test_anything_else_is_refused_with_the_way_to_write_it(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write 90"):
        duration(text)
