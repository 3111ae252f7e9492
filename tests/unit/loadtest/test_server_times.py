from __future__ import annotations

from headrace.loadtest.server_times import evenly
from tests.unit.loadtest.making import one_after_another


def test_few_jobs_are_all_asked_for() -> None:
    records = one_after_another(5)
    assert evenly(records, 5) == records


def test_of_many_jobs_an_even_sample_is_asked_for() -> None:
    sample = evenly(one_after_another(100), 10)
    assert [record.scheduled for record in sample] == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
