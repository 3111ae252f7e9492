"""How many threads a worker's model takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.core.cores import available_cores, with_fair_threads
from headrace.core.settings import Settings


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))


@pytest.mark.parametrize(("workers", "threads"), [(1, 8), (3, 2), (8, 1), (20, 1), (0, 8)])
def test_workers_share_out_the_cores(
    workers: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.core.cores.available_cores", lambda: 8)
    assert with_fair_threads(Settings(workers=workers)).threads == threads


def test_threads_that_are_named_stand() -> None:
    assert with_fair_threads(Settings(threads=5, workers=2)).threads == 5


@pytest.mark.parametrize(
    ("limit", "cores"),
    [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("9900000 100000", 8)],
)
def test_a_container_with_a_limit_has_fewer_cores(tmp_path: Path, limit: str, cores: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(limit + "\n")
    assert available_cores(file) == cores


def test_without_a_limit_all_cores_are_there(tmp_path: Path) -> None:
    assert available_cores(tmp_path / "missing") == 8
