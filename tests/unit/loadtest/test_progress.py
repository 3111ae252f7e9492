from __future__ import annotations

import asyncio
import io

from rich.console import Console

from headrace.loadtest.level import Level
from headrace.loadtest.loads import Limits
from headrace.loadtest.progress import Lines, Moving, one_line, state
from headrace.loadtest.prompts import WordLength, WordPrompts
from tests.load import closed
from tests.unit.loadtest.making import a_failure, a_record, a_result
from tests.unit.loadtest.test_level import AnswersAtOnce


def a_level(warmup_s: float) -> Level:
    async def make() -> Level:
        prompts = WordPrompts(WordLength(), 0)
        return Level(closed(5), Limits(warmup_s, 40.0, None), AnswersAtOnce(), prompts, 10.0)

    return asyncio.run(make())


def test_a_running_level_shows_its_counts() -> None:
    level = a_level(warmup_s=0.0)
    level.records += [a_record(), a_record(done=None), a_failure()]
    level.done, level.errors = 2, 1
    assert state(level) == "level 5: 0 of 40 s, 3 sent, 1 open, 1 errors"


def test_a_warm_up_counts_down() -> None:
    assert state(a_level(warmup_s=20.0)).startswith("level 5: warm-up, 20 s left")


def test_a_finished_level_is_one_line() -> None:
    assert one_line(a_result()) == (
        "level 1: 20 requests, 0 errors, 1.00 req/s, p50 1.000 s, p95 1.000 s, valid"
    )
    assert "INVALID" in one_line(a_result(is_interrupted=True))


def test_without_a_terminal_there_is_one_line_a_level() -> None:
    file = io.StringIO()
    lines = Lines(Console(file=file, width=40))
    with lines.showing(a_level(0.0)):
        pass
    lines.finished(a_result())
    assert file.getvalue().count("\n") == 1


def test_on_a_terminal_the_line_moves() -> None:
    file = io.StringIO()
    with Moving(Console(file=file, width=80, force_terminal=True)).showing(a_level(0.0)):
        pass
    assert "level 5: 0 of 40 s" in file.getvalue()
