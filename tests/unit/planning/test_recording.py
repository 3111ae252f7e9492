from __future__ import annotations

from headrace.planning.recording import changes
from tests.unit.planning.recordings import a_recording


def test_worker_seconds_are_those_of_the_sizes_that_were_wanted() -> None:
    sizes = [(0.0, 2), (10.0, 4), (30.0, 1)]
    assert a_recording(sizes=sizes).worker_s == 2 * 10 + 4 * 20 + 1 * 20


def test_what_nobody_knows_cost_nobody_knows_what() -> None:
    assert a_recording(sizes=[]).worker_s is None


def test_only_changes_of_the_size_count() -> None:
    assert changes([(0.0, 2), (1.0, 2), (2.0, 3), (3.0, 2)]) == [(0.0, 2), (2.0, 3), (3.0, 2)]
    assert changes([]) == []
