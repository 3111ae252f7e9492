"""`headrace up` with a real Redis and a real supervisor; model, API and worker are tiny scripts."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from headrace.cli.deployment import with_scaler
from headrace.cli.embedded_redis import prepare_embedded_redis
from headrace.cli.redis_ping import answers_ping
from headrace.core.connection import WORKER_TIMEOUT_S, Client, connect
from headrace.core.cores import available_cores
from headrace.core.jobs import keys
from headrace.core.leadership import Leadership
from headrace.core.settings import Settings
from tests.deployment import free_port
from tests.processes import is_alive
from tests.waiting import eventually

CHECKOUT = Path(__file__).parents[3]

API = """
import json, os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"workers": {"ready": 1}}).encode())
    def log_message(self, *_): pass
signal.signal(signal.SIGTERM, lambda *_: (print("api ended", flush=True), os._exit(0)))
address = os.environ["HEADRACE_HOST"], int(os.environ["HEADRACE_PORT"])
HTTPServer(address, Handler).serve_forever()
"""

WORKER = """
import os, signal, sys
from headrace.core.connection import connect
redis = connect(os.environ["REDIS_URL"], 4.0)
terms = []
def end(*_):
    terms.append(1)
    if len(terms) == int(os.environ.get("TERMS_TO_END", "1")):
        print("worker ended", redis.ping(), flush=True)
        os._exit(0)
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, end)
redis.rpush("runs", f"{sys.argv[1]} {os.getpid()}")
redis.rpush("threads", os.environ["HEADRACE_THREADS"])
redis.rpush("fleets", os.environ["HEADRACE_SCALER_FLEET"])
while True:
    signal.pause()
"""

MONITOR = """
import signal
signal.pause()
"""

SCRIPTS = ("model", "api", "worker", "monitor")

UP = """
import sys
from headrace.cli import deployment, main
script = lambda path: (sys.executable, path)
deployment.PREPARE_MODEL = script(sys.argv.pop(1))
deployment.SERVE_API = script(sys.argv.pop(1))
deployment.RUN_WORKER = script(sys.argv.pop(1))
deployment.RUN_MONITOR = deployment.RUN_SCALER = script(sys.argv.pop(1))
main.main()
"""


class Up:
    """One `headrace up`, and what it has written so far."""

    def __init__(self, folder: Path, *options: str, model: str = "", **environment: str) -> None:
        self.folder = folder
        self.state = folder / "state"
        self._log = (folder / f"up-{len(list(folder.glob('up-*')))}.log").open("w+b")
        texts = (model, API, WORKER, MONITOR)
        for name, script in zip(SCRIPTS, texts, strict=True):
            (folder / f"{name}.py").write_text(script)
        scripts = [str(folder / f"{name}.py") for name in SCRIPTS]
        self.process = subprocess.Popen(
            [sys.executable, "-c", UP, *scripts, "up", "--state-dir", str(self.state), *options],
            env={
                **os.environ,
                "PYTHONPATH": str(CHECKOUT),
                "HEADRACE_DRAIN_S": "5",
                "HEADRACE_MONITOR_PORT": str(free_port()),
                **environment,
            },
            stdout=self._log,
            stderr=self._log,
            cwd=folder,
        )

    @property
    def output(self) -> str:
        return Path(self._log.name).read_text()

    def wait_until_ready(self) -> None:
        eventually(lambda: "ready http://" in self.output or self.process.poll() is not None, 20)
        assert self.process.poll() is None, self.output

    def wait_for_end(self) -> int:
        return self.process.wait(20)

    def redis(self) -> Client:
        return connect(prepare_embedded_redis(self.state).url, WORKER_TIMEOUT_S)

    def runs(self) -> list[tuple[str, int]]:
        """(name, pid) of every worker that was started, in order."""
        entries = [entry.decode().split() for entry in self.redis().lrange("runs", 0, -1)]
        return [(name, int(pid)) for name, pid in entries]

    def close(self) -> None:
        """Ends it however the test ended."""
        if self.process.poll() is None:
            self.process.terminate()
            self.wait_for_end()
        self._log.close()


def children_of(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hr", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def port() -> str:
    return str(free_port())


@pytest.fixture
def up(folder: Path, port: str) -> Iterator[Up]:
    running = Up(folder, "--port", port)
    yield running
    running.close()


def test_it_says_where_it_serves_once_it_does(up: Up, port: str) -> None:
    up.wait_until_ready()
    assert f"ready http://127.0.0.1:{port}\n" in up.output
    with urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
        assert answer.status == 200


def test_a_misspelled_setting_is_told_once_and_to_no_child(folder: Path, port: str) -> None:
    model = "import os; print('inherited:', 'HEADRACE_MAX_SLOT' in os.environ, flush=True)"
    up = Up(folder, "--port", port, model=model, HEADRACE_MAX_SLOT="7")
    up.wait_until_ready()
    up.close()

    assert up.output.count("unknown variable") == 1
    assert "HEADRACE_MAX_SLOTS" in up.output
    assert "inherited: False" in up.output


def test_ctrl_c_ends_the_api_then_the_workers_then_redis(up: Up) -> None:
    up.wait_until_ready()
    eventually(up.runs)
    up.process.send_signal(signal.SIGINT)
    assert up.wait_for_end() == 0
    assert re.search(r"api ended.*worker ended True.*everything has ended", up.output, re.DOTALL)
    assert not (up.state / "redis" / "redis.sock").exists()


def test_a_second_ctrl_c_reaches_workers_a_second_time(folder: Path, port: str) -> None:
    up = Up(folder, "--port", port, TERMS_TO_END="2", HEADRACE_DRAIN_S="60")
    up.wait_until_ready()
    eventually(up.runs)
    up.process.send_signal(signal.SIGINT)
    eventually(lambda: "api ended" in up.output)
    up.process.send_signal(signal.SIGINT)
    assert up.wait_for_end() == 0
    assert "worker ended True" in up.output
    up.close()


def test_a_sigterm_to_all_processes_at_once_ends_them_in_order(folder: Path, port: str) -> None:
    """As `systemctl restart` sends it: Redis answers until the last of those who need it ended."""
    up = Up(folder, "--port", port, TERMS_TO_END="2")
    up.wait_until_ready()
    eventually(up.runs)
    everything = [up.process.pid, *children_of(up.process.pid)]
    for pid in everything:
        os.kill(pid, signal.SIGTERM)

    assert up.wait_for_end() == 0
    assert "worker ended True" in up.output
    assert "died" not in up.output
    eventually(lambda: not any(map(is_alive, everything)))
    up.close()


def test_a_redis_whose_socket_was_cleaned_away_comes_back_with_its_data(
    folder: Path, port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long path of the state folder puts the socket among temporary files."""
    temp = folder / "tmp"
    temp.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temp))
    long = folder / ("long" * 30)
    long.mkdir()
    up = Up(long, "--port", port, TMPDIR=str(temp))
    up.wait_until_ready()
    eventually(up.runs)
    for socket_folder in temp.glob("headrace-*"):
        shutil.rmtree(socket_folder)

    eventually(lambda: answers_ping(up.redis()), 20)
    assert up.runs()
    assert "no longer well" in up.output
    up.close()


def test_a_killed_worker_starts_again_under_another_name(up: Up) -> None:
    up.wait_until_ready()
    eventually(up.runs)
    [(first, pid)] = up.runs()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(up.runs()) == 2)
    second = up.runs()[1][0]
    assert first != second
    assert first.startswith("worker-1-")
    assert second.startswith("worker-1-")
    assert "was killed by SIGKILL" in up.output


def test_a_killed_redis_comes_back_with_its_data(up: Up) -> None:
    up.wait_until_ready()
    eventually(up.runs)
    before = up.runs()
    os.kill(up.redis().info("server")["process_id"], signal.SIGKILL)
    eventually(lambda: "was killed by SIGKILL" in up.output)
    eventually(lambda: answers_ping(up.redis()))
    assert up.runs() == before


def test_a_second_one_in_the_same_folder_names_the_first(up: Up, folder: Path) -> None:
    up.wait_until_ready()
    second = Up(folder, "--port", "1")
    assert second.wait_for_end() == 1
    assert f"another `headrace up` (pid {up.process.pid}) already runs in" in second.output
    assert "Traceback" not in second.output
    second.close()


def test_data_survives_from_one_run_to_the_next(up: Up, folder: Path, port: str) -> None:
    up.wait_until_ready()
    up.redis().set("job", "accepted")
    up.close()
    again = Up(folder, "--port", port)
    again.wait_until_ready()
    assert again.redis().get("job") == b"accepted"
    again.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties children to a parent")
def test_a_killed_supervisor_leaves_nothing_behind_and_loses_nothing(
    up: Up, folder: Path, port: str
) -> None:
    up.wait_until_ready()
    eventually(up.runs)
    [(_name, worker)] = up.runs()
    up.process.kill()
    up.wait_for_end()
    again = Up(folder, "--port", port)
    again.wait_until_ready()
    eventually(lambda: not is_alive(worker))
    assert again.runs()[0] == (_name, worker)
    again.close()


def test_a_port_in_use_is_said_before_anything_starts(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        up = Up(folder, "--port", str(taken.getsockname()[1]))
        assert up.wait_for_end() == 1
    assert "HEADRACE_PORT: cannot listen on" in up.output
    assert not (up.state / "redis").exists()
    up.close()


def test_a_model_that_cannot_be_prepared_ends_it(folder: Path, port: str) -> None:
    up = Up(folder, "--port", port, model="raise SystemExit('headrace: no such model')")
    assert up.wait_for_end() == 1
    assert "headrace: no such model\n" in up.output
    assert "headrace: preparing the model exited with code 1\n" in up.output
    assert "Traceback" not in up.output
    up.close()


def test_a_redis_that_cannot_load_its_data_shows_why(folder: Path, port: str) -> None:
    data = folder / "state" / "redis" / "appendonlydir"
    data.mkdir(parents=True)
    (data / "appendonly.aof.manifest").write_text("not a manifest\n")
    up = Up(folder, "--port", port)
    assert up.wait_for_end() == 1
    assert "the embedded Redis exited with code 1 at its start: the end of" in up.output
    assert "manifest" in up.output
    up.close()


def test_a_redis_of_the_user_is_used_instead(folder: Path, port: str, redis_url: str) -> None:
    up = Up(folder, "--port", port, REDIS_URL=redis_url)
    up.wait_until_ready()
    theirs = connect(redis_url, WORKER_TIMEOUT_S)
    eventually(lambda: theirs.lrange("runs", 0, -1))
    assert not (up.state / "redis").exists()
    up.close()
    assert theirs.ping()


def test_a_redis_of_the_user_that_is_away_is_named_without_its_password(
    folder: Path, port: str
) -> None:
    up = Up(folder, "--port", port, REDIS_URL="redis://user:secret@127.0.0.1:1/0")
    assert up.wait_for_end() == 1
    assert "headrace: REDIS_URL: redis://user:***@127.0.0.1:1/0 does not answer" in up.output
    assert "secret" not in up.output
    up.close()


def test_a_redis_of_the_user_that_would_evict_jobs_is_refused(
    folder: Path, port: str, redis_url: str, redis: Client
) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        up = Up(folder, "--port", port, REDIS_URL=redis_url)
        assert up.wait_for_end() == 1
    finally:
        redis.config_set("maxmemory-policy", "noeviction")
    assert "maxmemory-policy is allkeys-lru" in up.output
    up.close()


def test_the_number_that_a_scaler_wants_is_followed_and_only_who_is_drained_ends(
    folder: Path, port: str
) -> None:
    up = Up(folder, "--port", port, "--workers", "2", "--scaler-max", "4")
    up.wait_until_ready()
    eventually(lambda: len(up.runs()) == 2)
    scaler = Leadership(up.redis(), Settings(), "scaler-of-the-test", lease_s=60.0)
    scaler.take()
    scaler.order(4, [], None)
    eventually(lambda: len(up.runs()) == 4)
    pids = {name.rpartition("-")[0]: pid for name, pid in up.runs()}
    assert sorted(pids) == ["worker-1", "worker-2", "worker-3", "worker-4"]

    [drained] = [name for name, _pid in up.runs() if name.startswith("worker-4")]
    scaler.order(2, [drained], None)
    eventually(lambda: not is_alive(pids["worker-4"]))
    assert is_alive(pids["worker-3"])

    scaler.order(4, [], None)
    eventually(lambda: len(up.runs()) == 5)
    assert up.runs()[-1][0].startswith("worker-4-")
    assert is_alive(pids["worker-3"])
    cores = available_cores()
    shares = [max(1, cores // size) for size in (2, 2, 4, 4, 4)]
    assert [int(share) for share in up.redis().lrange("threads", 0, -1)] == shares
    up.close()


def test_its_own_workers_are_those_that_its_scaler_keeps(folder: Path, port: str) -> None:
    up = Up(folder, "--port", port, HEADRACE_SCALER_FLEET="compose")
    up.wait_until_ready()
    eventually(lambda: up.redis().lrange("fleets", 0, -1) == [b"processes"])
    up.close()


def test_a_deployment_on_its_own_redis_follows_a_number_that_a_person_fixes(up: Up) -> None:
    up.wait_until_ready()
    eventually(up.runs)
    scaler = Leadership(up.redis(), Settings(), "scaler-of-the-test", lease_s=60.0)
    scaler.take()
    scaler.order(2, [], None)
    eventually(lambda: len(up.runs()) == 2)


def test_beside_a_redis_of_the_user_nobody_follows_a_number_unless_asked_to(
    folder: Path, port: str, redis_url: str, redis: Client
) -> None:
    up = Up(folder, "--port", port, REDIS_URL=redis_url)
    up.wait_until_ready()
    eventually(lambda: redis.lrange("runs", 0, -1))
    up.close()
    assert not redis.exists(keys.FLEET)
    assert "child=scaler" not in up.output


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_scaler_that_nobody_asked_for_keeps_the_number_of_workers(workers: int) -> None:
    settings = with_scaler(Settings(workers=workers, scaler_min=2))
    assert (settings.scaler_min, settings.scaler_max) == (workers, workers)
    assert settings.first_workers == workers


def test_one_that_is_asked_for_keeps_its_bounds_and_one_without_counts_is_none() -> None:
    for settings in (
        Settings(scaler_max=4),
        Settings(redis_url="redis://queue:6379", scaler_max=4),
        Settings(redis_url="redis://queue:6379"),
        Settings(metrics=False),
    ):
        assert with_scaler(settings) == settings
