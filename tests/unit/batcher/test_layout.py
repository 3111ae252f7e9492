from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.torch_engine.layout import Span, spans_of

CALL_TOKENS = 400


@given(lengths=st.lists(st.integers(1, 2000), max_size=40), gap=st.integers(0, 40))
def test_spans_hold_every_row_once_with_room_for_its_length(lengths: list[int], gap: int) -> None:
    slots = [row if row < gap else row + 7 for row in range(len(lengths))]
    spans = spans_of(lengths, slots, CALL_TOKENS)
    assert [row for span in spans for row in range(span.start, span.stop)] == [*range(len(lengths))]
    for span in spans:
        assert span.length == max(lengths[span.start : span.stop])
        assert slots[span.start : span.stop] == [*range(span.slot, span.slot + span.rows)]


@pytest.mark.parametrize(
    ("lengths", "spans"),
    [
        ([50] * 32, [Span(0, 32, 0, 50)]),
        ([50, 60, 40, 55], [Span(0, 4, 0, 60)]),
        ([1500, *[50] * 4], [Span(0, 1, 0, 1500), Span(1, 5, 1, 50)]),
        (
            [*[50] * 4, 1500, *[50] * 4],
            [Span(0, 4, 0, 50), Span(4, 5, 4, 1500), Span(5, 9, 5, 50)],
        ),
    ],
)
def test_a_long_row_is_cut_off_from_short_ones(lengths: list[int], spans: list[Span]) -> None:
    assert spans_of(lengths, range(len(lengths)), CALL_TOKENS) == spans


def test_rows_with_free_slots_between_them_are_apart() -> None:
    assert spans_of([50] * 4, [0, 1, 6, 7], CALL_TOKENS) == [Span(0, 2, 0, 50), Span(2, 4, 6, 50)]
