"""The commands of docs/operations.md that back up a queue and restore it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.deployment import Deployment

GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"
JOBS = 5


class Simulated(Deployment):
    def __init__(self, folder: Path, models: Path, **settings: str) -> None:
        super().__init__(folder, models, HEADRACE_ENGINE="simulated", **settings)


def commands(name: str) -> str:
    """The block of the guide that has this name."""
    (found,) = re.findall(rf"<!-- {name} -->\n\n```sh\n(.+?)```", GUIDE.read_text(), re.S)
    return str(found)


def execute(text: str, **places: Path) -> None:
    for name, path in places.items():
        text = re.sub(rf"\b{name}\b", str(path), text)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(["bash", "-eu", "-c", text], env=os.environ | {"PATH": path}, check=True)


def test_jobs_that_waited_at_a_backup_are_done_where_it_is_restored(
    tmp_path: Path, smollm2_models: Path
) -> None:
    lost = Simulated(tmp_path / "lost", smollm2_models)
    lost.start()
    answered = lost.submit("Before", max_tokens=2)
    answer = lost.job(answered, wait_s=30)["result"]
    os.killpg(lost.pid("worker-1"), signal.SIGSTOP)
    waiting = [lost.submit(f"Say {number}.", max_tokens=2) for number in range(JOBS)]

    assert {lost.job(job_id)["status"] for job_id in waiting} == {"queued"}
    execute(commands("backup"), STATE_DIR=lost.state_dir, BACKUP=tmp_path / "backup")
    lost.kill()
    lost.client.close()

    found = Simulated(tmp_path / "found", smollm2_models)
    execute(commands("restore"), BACKUP=tmp_path / "backup", NEW_STATE_DIR=found.state_dir)
    found.start()
    try:
        assert found.job(answered)["result"] == answer
        assert len(found.texts(waiting)) == JOBS
    finally:
        found.close()
