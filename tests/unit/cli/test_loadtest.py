from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from headrace.cli import loadtest_run
from headrace.cli.main import cli
from tests.openai_server import OpenAiServer
from tests.waiting import eventually

CHECKOUT = Path(__file__).parents[3]
SHORT = ("--requests", "10", "--warmup", "0", "--concurrency", "1")


@pytest.fixture
def server() -> Iterator[OpenAiServer]:
    with OpenAiServer(service_s=0.005) as server:
        yield server


def loadtest(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["loadtest", *arguments])


def test_a_load_test_prints_tables_and_a_line_a_level(server: OpenAiServer) -> None:
    result = loadtest("--url", server.url, *SHORT)
    assert result.exit_code == 0, result.stderr
    assert any(line.split()[:3] == ["1", "10", "0"] for line in result.stdout.splitlines())
    assert result.stderr.startswith("level 1: 10 requests, 0 errors")


def test_reports_are_written(server: OpenAiServer, tmp_path: Path) -> None:
    out, rows, page = tmp_path / "out.json", tmp_path / "out.csv", tmp_path / "out.html"
    paths = ("--json", str(out), "--csv", str(rows), "--html", str(page))
    loadtest("--url", server.url, *SHORT, *paths)
    assert json.loads(out.read_text())["levels"][0]["requests"] == 10
    assert rows.read_text().count("\n") == 2
    assert "<h1>other</h1>" in page.read_text()


def test_tables_can_be_markdown(server: OpenAiServer) -> None:
    assert "| level | requests |" in loadtest("--url", server.url, *SHORT, "--markdown").stdout


def test_an_assertion_that_holds_is_status_0(server: OpenAiServer) -> None:
    result = loadtest("--url", server.url, *SHORT, "--assert", "errors<=0@1")
    assert result.exit_code == 0, result.stderr


def test_an_assertion_that_does_not_hold_is_status_1(server: OpenAiServer) -> None:
    result = loadtest("--url", server.url, *SHORT, "--assert", "throughput>100000")
    assert result.exit_code == 1
    assert "FAILED throughput>100000 at level 1: measured " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--concurrency", "1", "--rate", "2"), "one of --concurrency, --rate and --trace"),
        (("--concurrency", "one"), "--concurrency: 'one' is no list"),
        (("--rates", "1,0"), "--rate: every number is above 0"),
        (("--concurrency", "5,5"), "names a level twice"),
        (("--duration", "5", "--requests", "5"), "one of --duration and --requests"),
        (("--trace", "nowhere.csv"), "--trace: nowhere.csv"),
        (("--trace", "mooncake:nowhere.jsonl"), "--trace: nowhere.jsonl"),
        (("--dataset", "sharegpt:nowhere.json"), "--dataset: nowhere.json"),
        (("--dataset", "turns:", "--prompts", __file__), "one of --dataset and --prompts"),
        (("--dataset", "turns:", "--repeat-prompts"), "one of --dataset and --repeat-prompts"),
        (("--concurrency", "30:1"), "--concurrency: 30:1: a ramp rises"),
        (("--rate", "1:2:3"), "--rate: '1:2' is no list"),
        (("--rate", "1:30", "--requests", "5"), "a ramp takes --duration, not --requests"),
        (("--goodput", "chat=fast"), "--goodput: 'chat=fast': bounds are ttft, tpot and e2e"),
        (("--goodput", "chat=e2e:9", "--assert", "goodput.chap>1"), "are slo, chat"),
        (("--prompts", "nowhere.txt"), "--prompts: nowhere.txt"),
        (("--url", "127.0.0.1:8000"), "--url"),
        (("--assert", "p95 is fine"), "--assert"),
        (("--assert", "p95<1@7"), "the levels are 1, 5, 15, 30"),
        (("--json", "/no/such/folder/out.json"), "no file can be written there"),
        (("--html", "/no/such/folder/out.html"), "no file can be written there"),
    ],
)
def test_what_cannot_be_run_is_status_2_and_names_the_option(
    arguments: tuple[str, ...], says: str, server: OpenAiServer
) -> None:
    result = loadtest("--url", server.url, *arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert server.bodies == []


def test_a_page_without_plotly_is_refused_before_any_load(
    server: OpenAiServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(loadtest_run, "find_spec", lambda name: None)
    result = loadtest("--url", server.url, *SHORT, "--html", str(tmp_path / "out.html"))
    assert result.exit_code == 2
    assert "pip install 'headrace[report]'" in " ".join(result.stderr.split())
    assert server.bodies == []


def test_plotly_is_imported_for_a_page_alone() -> None:
    names = ("headrace.cli.loadtest_run", "headrace.loadtest.report")
    code = f"import sys, {', '.join(names)}; sys.exit('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT).returncode == 0


def test_the_slo_is_that_of_the_settings_unless_given(
    server: OpenAiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_SLO_LATENCY_S", "0.25")
    assert "within 0.25 s + 0.15 s a token" in loadtest("--url", server.url, *SHORT).stdout
    given = loadtest("--url", server.url, *SHORT, "--slo-latency-s", "0.5", "--slo-tpot-s", "0")
    assert "within 0.5 s + 0 s a token" in given.stdout


def test_the_key_comes_from_the_environment_and_is_never_shown(
    server: OpenAiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert "secret" not in loadtest("--url", server.url, *SHORT).output
    assert server.keys == {"Bearer secret"}
    assert "secret" not in loadtest("--help").output


def test_a_server_that_is_not_there_is_an_error() -> None:
    result = loadtest("--url", "http://127.0.0.1:1")
    assert result.exit_code == 3
    assert "no API answers at http://127.0.0.1:1" in result.stderr


def test_ctrl_c_shows_what_was_measured(server: OpenAiServer, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "headrace", "loadtest", "--url", server.url]
    command += ["--concurrency", "1,2", "--requests", "40", "--warmup", "0"]
    command += ["--html", str(tmp_path / "out.html")]
    server.stall = (60, 60.0)  # in the second level
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        process = subprocess.Popen(command, cwd=CHECKOUT, stdout=out, stderr=err)
        eventually(lambda: len(server.bodies) >= 60 or process.poll() is not None, 30)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(10) == 130
    lines = (tmp_path / "out").read_text().splitlines()
    assert any(line.split()[:3] == ["1", "40", "0"] for line in lines)
    assert any(line.startswith("! level 2 is not valid: complete: interrupted") for line in lines)
    assert "1 of 2 levels not valid: 2" in (tmp_path / "out.html").read_text()
    assert "Traceback" not in (tmp_path / "err").read_text()
