from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.torch_engine.seen import Seen

IDS = st.lists(st.integers(0, 6), max_size=12)


@pytest.mark.parametrize("heeds_prompt", [True, False])
@given(prompt=IDS, before=IDS, later=st.lists(IDS, max_size=4))
def test_an_id_counts_as_often_as_it_stands_in_the_output(
    prompt: list[int], before: list[int], later: list[list[int]], heeds_prompt: bool
) -> None:
    row_ids = [*prompt, *before]
    seen = Seen(row_ids, len(prompt), heeds_prompt)
    for ids in later:
        row_ids += ids
        assert [seen.ids[place] for place in seen.catch_up()] == ids
    output = Counter(row_ids[len(prompt) :])
    expected = {**dict.fromkeys(prompt if heeds_prompt else (), 0), **output}
    assert dict(zip(seen.ids, seen.counts, strict=True)) == expected


def test_places_stay_while_a_row_grows() -> None:
    row_ids = [9, 8, 8]
    seen = Seen(row_ids, 1, heeds_prompt=True)
    before = seen.ids.tolist()
    row_ids += [7, 9]
    assert seen.catch_up() == [2, 0]
    assert seen.ids.tolist() == [*before, 7]
    assert seen.catch_up() == []
