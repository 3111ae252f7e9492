"""Backup and restore as docs/operations.md has them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deployment import Deployment

BACKUP = Path(__file__).parents[2] / "deploy" / "backup.sh"


def backup(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BACKUP, source, target], capture_output=True, text=True)


def test_what_waited_at_the_backup_runs_after_the_restore(
    tmp_path: Path, smollm2_models: Path
) -> None:
    settings = {"HEADRACE_ENGINE": "simulated", "HEADRACE_SCALER_MIN": "0"}
    before = Deployment(tmp_path / "before", smollm2_models, **settings)
    folder = before.state_dir / "redis" / "appendonlydir"
    try:
        before.start()
        ended = before.submit("ends before the backup", max_tokens=4)
        [text] = before.texts([ended])
        before.stop()  # its card stays: without a worker jobs wait
        before.settle_for(HEADRACE_WORKERS="0")
        before.start()
        waiting = [before.submit(f"number {n}", max_tokens=4) for n in range(20)]
        copied = backup(folder, tmp_path / "backup")
        assert copied.returncode == 0, copied.stderr
        later = before.submit("comes after the backup", max_tokens=4)
    finally:
        before.close()

    after = Deployment(tmp_path / "after", smollm2_models, **settings)
    shutil.copytree(tmp_path / "backup", after.state_dir / "redis" / "appendonlydir")
    try:
        after.start()
        assert len(after.texts(waiting)) == 20
        assert after.texts([ended]) == [text]
        assert after.client.get(f"/v1/jobs/{later}").status_code == 404
    finally:
        after.close()


@pytest.mark.parametrize(("source", "problem"), [("nowhere", "no such folder"), (".", "already")])
def test_what_cannot_be_copied_is_said(tmp_path: Path, source: str, problem: str) -> None:
    (tmp_path / "there").mkdir()
    refused = backup(tmp_path / source, tmp_path / "there")

    assert refused.returncode == 1
    assert problem in refused.stderr
