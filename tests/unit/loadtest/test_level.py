from __future__ import annotations

import asyncio

import pytest

from headrace.loadtest.level import Level
from headrace.loadtest.loads import Limits, Load, TraceLoad
from headrace.loadtest.measurement import Measurement
from headrace.loadtest.prompts import Prompt, WordLength, WordPrompts
from headrace.loadtest.record import Record
from headrace.loadtest.traces.arrival import Arrival
from headrace.loadtest.window import Window
from tests.load import closed, constant


class AnswersAtOnce:
    route = "/v1/chat/completions"

    async def ask(self, prompt: Prompt, record: Record) -> None:
        record.output_tokens = prompt.max_tokens
        await asyncio.sleep(0)


class NeverAnswers(AnswersAtOnce):
    async def ask(self, prompt: Prompt, record: Record) -> None:
        await asyncio.Event().wait()


def measure(
    load: Load, limits: Limits, api: AnswersAtOnce | None = None, timeout_s: float = 10
) -> Measurement:
    async def run() -> Measurement:
        prompts = WordPrompts(WordLength(), seed=0)
        level = Level(load, limits, api or AnswersAtOnce(), prompts, timeout_s)
        await level.run()
        return level.measurement()

    return asyncio.run(run())


def requests(count: int, warmup_s: float = 0.0) -> Limits:
    return Limits(warmup_s=warmup_s, duration_s=None, requests=count)


def test_the_warm_up_does_not_count() -> None:
    window = Window(began=100.0, limits=Limits(warmup_s=5.0, duration_s=10.0, requests=None))
    assert [window.measures(at) for at in (100.0, 104.9, 105.0, 114.9, 115.0)] == [
        *(False, False),
        *(True, True),
        None,
    ]


def test_a_number_of_requests_is_counted_after_the_warm_up() -> None:
    window = Window(began=0.0, limits=requests(2, warmup_s=1.0))
    assert [window.measures(at) for at in (0.5, 1.0, 2.0, 3.0)] == [False, True, True, None]


def test_a_closed_loop_sends_as_many_requests_as_it_should() -> None:
    measured = measure(closed(3), requests(10))
    assert len(measured.counted) == 10
    assert all(record.scheduled <= record.sent for record in measured.records)


def test_an_open_loop_sends_on_schedule() -> None:
    measured = measure(constant(100), requests(10))
    offsets = [record.scheduled - measured.start for record in measured.records]
    assert [round(offset, 6) for offset in offsets] == [number / 100 for number in range(10)]


def test_an_open_loop_does_not_wait_for_answers() -> None:
    measured = measure(constant(100), requests(10), NeverAnswers(), timeout_s=0.2)
    assert [record.error for record in measured.records] == ["timeout"] * 10
    assert measured.in_flight.mean(measured.start, measured.end) > 4


def test_a_running_level_counts_what_is_done() -> None:
    async def run() -> tuple[int, int]:
        prompts = WordPrompts(WordLength(), seed=0)
        level = Level(closed(1), requests(3), NeverAnswers(), prompts, timeout_s=0.01)
        await level.run()
        return level.done, level.errors

    assert asyncio.run(run()) == (3, 3)


def test_a_trace_sets_times_and_lengths() -> None:
    trace = TraceLoad([Arrival(0.0, 8, 2), Arrival(0.1, 8, 7)], speed=10)
    measured = measure(trace, Limits(warmup_s=0.0, duration_s=None, requests=None))
    assert [record.output_tokens for record in measured.counted] == [2, 7]
    assert round(measured.window_s, 6) == 0.01


def test_a_level_that_is_cancelled_keeps_what_it_has() -> None:
    async def run() -> Measurement:
        prompts = WordPrompts(WordLength(), seed=0)
        level = Level(closed(2), requests(10), NeverAnswers(), prompts, timeout_s=60)
        task = asyncio.create_task(level.run())
        while len(level.records) < 2:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return level.measurement()

    measured = asyncio.run(run())
    assert measured.is_interrupted
    assert (len(measured.records), len(measured.counted)) == (2, 0)


def test_a_trace_that_ends_before_its_time_ends_the_window() -> None:
    trace = TraceLoad([Arrival(number / 100, 8, 4) for number in range(10)], speed=1.0)
    measured = measure(trace, Limits(warmup_s=0.0, duration_s=60.0, requests=None))
    assert measured.window_s < 1
    assert measured.offered_per_s > 10


def test_a_rate_that_nobody_could_send_ends_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.loadtest.level.MOST_LATE_S", 0.1)
    measured = measure(constant(1_000_000), Limits(warmup_s=0.0, duration_s=60.0, requests=None))
    assert measured.window_s < 60
    assert measured.records[-1].late_s > 0.1
