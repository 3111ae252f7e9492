from __future__ import annotations

import pytest
from rich.console import Console

from headrace.cli.job_view import _table

JOB = {
    "id": "0b8a3f6e5d0c4f1e9f0a2b8c7d6e5f40",
    "status": "succeeded",
    "created_at": 1795424610.0,
    "model": "a-model-with-a-long-name",
    "priority": "interactive",
    "attempts": 1,
    "usage": {"prompt_tokens": 1234, "completion_tokens": 256},
    "timings": {"total_ms": 12345.6},
}


def shown(width: int) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(_table([JOB], width))
    return capture.get()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_id_is_never_cut_and_a_job_is_one_line(width: int) -> None:
    header, row = shown(width).splitlines()
    assert max(len(header), len(row)) <= width
    assert row.startswith(f"{JOB['id']} ")


@pytest.mark.parametrize("width", [80, 200])
def test_what_must_be_read_is_never_cut(width: int) -> None:
    text = shown(width)
    assert all(len(line) <= width for line in text.splitlines())
    for part in (JOB["id"], "succeeded", "1234", "256", "12.35"):
        assert part in text


def test_a_wide_terminal_shows_the_rest_as_well() -> None:
    assert "a-model-with-a-long-name" not in shown(80)
    assert "a-model-with-a-long-name" in shown(200)
    assert "interactive" in shown(200)
