"""Prometheus and Alertmanager as deploy/ has them, on short windows and on ports of their own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from headrace.cli.process import SessionProcess
from tests.deployment import free_port
from tests.monitoring.receiver import Receiver
from tests.waiting import eventually

DEPLOY = Path(__file__).parents[2] / "deploy"
START_S = 30.0


class Watchers:
    """`receiver` is told what Alertmanager tells."""

    def __init__(self, folder: Path, api_url: str, monitor_url: str, alertmanager_url: str) -> None:
        self.receiver = Receiver()
        self._folder = folder
        self._alertmanager_url = alertmanager_url
        self._prometheus_url = f"http://127.0.0.1:{free_port()}"
        self._processes: list[SessionProcess] = []
        shutil.copytree(DEPLOY / "prometheus", folder / "prometheus")
        urls = {"api": api_url, "monitor": monitor_url, "alertmanager": self._alertmanager_url}
        for name, url in urls.items():
            target = folder / "prometheus" / "targets" / f"{name}.yml"
            target.write_text(f'- targets: ["{urlsplit(url).netloc}"]\n')
        text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text()
        own = text.replace("127.0.0.1:9099", self.receiver.address)
        (folder / "alertmanager.yml").write_text(own)

    def start(self) -> None:
        self._run(
            shutil.which("alertmanager") or "prometheus-alertmanager",
            f"--config.file={self._folder}/alertmanager.yml",
            f"--storage.path={self._folder}/alertmanager",
            f"--web.listen-address={urlsplit(self._alertmanager_url).netloc}",
            "--cluster.listen-address=",
        )
        self._run(
            "prometheus",
            f"--config.file={self._folder}/prometheus/prometheus-demo.yml",
            f"--storage.tsdb.path={self._folder}/data",
            f"--web.listen-address={urlsplit(self._prometheus_url).netloc}",
        )
        for url in (self._alertmanager_url, self._prometheus_url):
            eventually(lambda it=url: _is_ready(it), START_S)
        eventually(lambda: len(self.query("up == 1")) == 2, START_S)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What there is now. Fails the test where Prometheus does not understand it."""
        response = httpx.get(
            f"{self._prometheus_url}/api/v1/query", params={"query": expression}, timeout=10
        )
        assert response.status_code == 200, f"{expression}: {response.text}"
        found: list[dict[str, Any]] = response.json()["data"]["result"]
        return found

    def firing(self) -> set[str]:
        """Alerts of Prometheus that fire, but for the watchdog."""
        found = self.query('ALERTS{alertstate="firing",alertname!="HeadraceWatchdog"}')
        return {str(each["metric"]["alertname"]) for each in found}

    def close(self) -> None:
        for process in self._processes:
            process.kill()
        self.receiver.close()

    def _run(self, binary: str, *options: str) -> None:
        with (self._folder / f"{Path(binary).name}.log").open("ab") as log:
            self._processes.append(SessionProcess([binary, *options], os.environ, log))


@contextmanager
def watchers(
    folder: Path, api_url: str, monitor_url: str, alertmanager_url: str = ""
) -> Iterator[Watchers]:
    """Alertmanager has a port of its own unless it is to have this one."""
    own_url = f"http://127.0.0.1:{free_port()}"
    found = Watchers(folder, api_url, monitor_url, alertmanager_url or own_url)
    try:
        found.start()
        yield found
    finally:
        found.close()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", timeout=2).status_code == 200
    except httpx.TransportError:
        return False
