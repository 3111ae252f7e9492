"""No command prints a password or a key, whatever goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from click.testing import CliRunner

from headrace.cli.main import cli
from tests.unit.cli.all_commands import commands, words_of

CHECKOUT = Path(__file__).parents[3]
LEAKS = ("zebra", "quagga", "12345")
REDIS_URLS = [
    "redis://me:zebra@127.0.0.1:1/0",
    "redis://127.0.0.1:1/0?password=zebra",
    "redis://:zebra#quagga@127.0.0.1:1/0",
    "redis://:12345/zebra@127.0.0.1:1/0",
]
URL = "http://me:zebra@127.0.0.1:1"
WRONG_URL = "http://me:zebra#quagga@127.0.0.1:1"


def environment(tmp_path: Path, redis_url: str, url: str) -> dict[str, str | None]:
    return {
        "REDIS_URL": redis_url,
        "HEADRACE_URL": url,
        "HEADRACE_API_KEY": "hr_zebra",
        "OPENAI_API_KEY": "hr_zebra",
        "HEADRACE_STATE_DIR": str(tmp_path),
        "HEADRACE_ALERT_WEBHOOK_URL": "http://me:zebra@127.0.0.1:1/hooks/quagga?key=zebra",
        "HEADRACE_ALERTMANAGER_URL": "http://me:zebra@127.0.0.1:1",
        "HEADRACE_OTLP_URL": "http://me:zebra@127.0.0.1:1?token=quagga",
        "HTTP_PROXY": "http://me:zebra@127.0.0.1:1",
        "HEADRACE_SCALER_MAX": "1",
        "HEADRACE_LOG_FORMAT": "json",
    }


@pytest.mark.parametrize("redis_url", REDIS_URLS)
@pytest.mark.parametrize("command", [*commands()])
def test_no_command_prints_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, redis_url: str
) -> None:
    for module in ("headrace.cli.deployment", "headrace.core.telemetry"):
        monkeypatch.setattr(
            f"{module}.configure_logging", lambda *_: None
        )  # of other tests as well
    url = WRONG_URL if "#" in redis_url else URL
    runner = CliRunner(env=environment(tmp_path, redis_url, url))
    result = runner.invoke(cli, words_of(command))

    shown = result.output + result.stderr
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        shown += "".join(traceback.format_exception(result.exception))
        shown = shown.replace(str(CHECKOUT), "")
    assert not [leak for leak in LEAKS if leak in shown], shown


@pytest.mark.parametrize("command", ["", *commands()])
def test_no_help_shows_what_the_environment_holds(tmp_path: Path, command: str) -> None:
    runner = CliRunner(env=environment(tmp_path, REDIS_URLS[0], URL))
    shown = runner.invoke(cli, [*command.split(), "--help"]).output
    assert "Usage" in shown and not [leak for leak in LEAKS if leak in shown]


def test_no_process_logs_a_secret(tmp_path: Path) -> None:
    """All of them at once, since starting takes long; each ends by itself."""
    gunicorn = ["gunicorn", "-c", "python:api.gunicorn_conf", "api.app:create_app()"]
    variables = os.environ | {
        name: value or "" for name, value in environment(tmp_path, REDIS_URLS[2], URL).items()
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-m", *module],
            env=variables,
            cwd=CHECKOUT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for module in (["worker"], ["scaler"], ["headrace.monitor"], gunicorn)
    ]
    shown = [process.communicate(timeout=60)[0] for process in running]
    for text in shown:
        assert "REDIS_URL" in text and "%23" in text, text
        assert not [leak for leak in LEAKS if leak in text], text
