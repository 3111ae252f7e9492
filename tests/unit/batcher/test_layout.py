from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.torch_engine.layout import Span, spans_of


@given(lengths=st.lists(st.integers(1, 2000), min_size=1, max_size=40))
def test_spans_hold_every_row_once_with_room_for_its_length(lengths: list[int]) -> None:
    spans = spans_of(lengths)
    assert [row for span in spans for row in range(span.start, span.stop)] == [*range(len(lengths))]
    for span in spans:
        assert span.length == max(lengths[span.start : span.stop])


@pytest.mark.parametrize(
    ("lengths", "spans"),
    [
        ([50] * 32, [Span(0, 32, 50)]),
        ([50, 60, 40, 55], [Span(0, 4, 60)]),
        ([1500, *[50] * 4], [Span(0, 1, 1500), Span(1, 5, 50)]),
        ([*[50] * 4, 1500, *[50] * 4], [Span(0, 4, 50), Span(4, 5, 1500), Span(5, 9, 50)]),
    ],
)
def test_a_long_row_is_cut_off_from_short_ones(lengths: list[int], spans: list[Span]) -> None:
    assert spans_of(lengths) == spans
