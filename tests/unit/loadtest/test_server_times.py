from __future__ import annotations

import asyncio
from typing import cast

import pytest

from headrace.loadtest.server_times import add_server_times, evenly
from headrace.loadtest.target import Target
from tests.unit.loadtest.making import one_after_another


def test_few_jobs_are_all_asked_for() -> None:
    records = one_after_another(5)
    assert evenly(records, 5) == records


def test_of_many_jobs_an_even_sample_is_asked_for() -> None:
    sample = evenly(one_after_another(100), 10)
    assert [record.scheduled for record in sample] == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]


def test_a_server_that_does_not_answer_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.loadtest.server_times.MOST_S", 0.05)

    class Silent:
        async def get(self, path: str) -> None:
            await asyncio.Event().wait()

    records = one_after_another(3, job_id="job-1")
    notes = asyncio.run(add_server_times(cast(Target, Silent()), records))
    assert notes == ["3 of 3 jobs say nothing about their stages"]
