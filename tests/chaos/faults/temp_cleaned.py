"""Fault 17: somebody cleans the temp folder again and again while all of it runs."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import httpx
import psutil

from headrace.core.settings import Settings
from tests.chaos.faults.deployment_fault import DeploymentFault
from tests.chaos.patience import require, until
from tests.chaos.site import Site
from tests.chaos.up import Up

CLEANINGS = 8
BACK_S = 30.0


class TempCleaned(DeploymentFault):
    """Metrics go on, and an API process that is killed meanwhile comes back alone."""

    number = 17
    name = "temp folder cleaned"
    may_redeliver = False

    def make_up(self, folder: Path, settings: Settings) -> Up:
        self._temp = folder / "tmp"
        self._temp.mkdir(parents=True)
        return Up(folder / "up", settings, environment={"TMPDIR": str(self._temp)})

    def strike(self, site: Site, dice: random.Random) -> None:
        load = self.load(site, dice)
        before = {process.pid for process in self.up.processes}
        for _cleaning in range(CLEANINGS):
            self._clean()
            time.sleep(dice.uniform(0.1, 0.6))
            require(self._has_metrics(), "the API has no metrics any more")
        killed = self._kill_an_api_process()
        until("the API answers again", self._has_metrics, BACK_S)
        self.await_answers(load, 10)
        load.stop()
        gone = before - {process.pid for process in self.up.processes}
        require(gone == {killed}, f"{len(gone)} processes ended, and one was killed")

    def _clean(self) -> None:
        for path in self._temp.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _kill_an_api_process(self) -> int:
        masters = [p for p in self.up.processes if "gunicorn" in " ".join(_command(p))]
        children = [child for master in masters for child in master.children()]
        require(children, "no process of the API was found")
        children[0].kill()
        return int(children[0].pid)

    def _has_metrics(self) -> bool:
        try:
            answer = httpx.get(f"{self.up.url}/metrics", timeout=5.0)
        except httpx.TransportError:
            return False
        return answer.status_code == 200 and "headrace_" in answer.text


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:
        return []
