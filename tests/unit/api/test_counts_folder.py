"""The folder in which an API's processes count: kept from cleaners, and cleaned up itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from api import counts_folder
from api.counts_folder import MEMORY, CountsFolder
from api.http_metrics import FOLDER_VARIABLE, PrometheusMetrics

LEAVE = """
import os, signal, sys
from api import counts_folder
counts_folder.MEMORY = sys.argv[1]
print(counts_folder.CountsFolder().path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(counts_folder, "MEMORY", str(tmp_path))
    return tmp_path


def test_it_is_in_memory_where_there_is_such_a_folder() -> None:
    folder = CountsFolder()
    assert str(folder.path).startswith(MEMORY) is os.path.isdir(MEMORY)
    folder.remove()
    assert not folder.path.exists()


def test_elsewhere_it_is_among_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts_folder, "MEMORY", "/nowhere")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert CountsFolder().path.parent == tmp_path


def test_two_apis_leave_each_other_alone(memory: Path) -> None:
    first, second = CountsFolder(), CountsFolder()
    assert first.path != second.path
    assert first.path.exists()


def test_what_a_killed_api_left_is_removed(memory: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", LEAVE, str(memory)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    left = Path(killed.stdout.strip())
    assert left.parent == memory
    assert left.exists()

    CountsFolder()
    assert not left.exists()


def test_metrics_and_new_processes_survive_its_removal(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CountsFolder()
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder.path))
    metrics = PrometheusMetrics()
    metrics.answered("/v1/jobs", 202)
    shutil.rmtree(folder.path)

    text, _type = metrics.exposition("")
    assert b'headrace_requests_total{code="202",route="/v1/jobs"} 1.0' in text
    folder.restore()
    assert os.path.isdir(folder.path)
