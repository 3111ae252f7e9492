from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from headrace.cli.main import cli, main
from headrace.cli.setting_text import default_text, describe
from headrace.core.settings import Settings, variable
from tests.standard_errors import stderr_kept

COMMANDS = [
    [],
    ["up"],
    ["submit"],
    ["jobs"],
    ["priority"],
    ["purge"],
    ["dead"],
    ["dead", "list"],
    ["dead", "show"],
    ["dead", "replay"],
    ["dead", "purge"],
    ["scaler"],
    ["scaler", "status"],
    ["scaler", "log"],
    ["scaler", "pause"],
    ["scaler", "resume"],
    ["scaler", "fix"],
    ["scaler", "auto"],
    ["loadtest"],
    ["loadtest", "compare"],
    ["model"],
    ["model", "prepare"],
    ["settings"],
    ["health"],
]
CHECKOUT = Path(__file__).parents[3]


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `headrace ARGUMENTS`."""
    monkeypatch.setattr(sys, "argv", ["headrace", *arguments])
    with stderr_kept(), pytest.raises(SystemExit) as end:
        main()
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: list[str]) -> None:
    help_text = CliRunner().invoke(cli, [*command, "--help"], catch_exceptions=False).output
    assert re.search(rf"\n    (HEADRACE_PORT=9000 )?headrace {' '.join(command)}", help_text)


def test_an_option_of_up_names_its_variable_and_default() -> None:
    help_text = " ".join(CliRunner().invoke(cli, ["up", "--help"]).output.split())
    assert "Port the API binds to. [env: HEADRACE_PORT; default: 8000]" in help_text


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from headrace.cli.main import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'transformers', 'pydantic', 'redis', 'rich', 'httpx', 'flask'}\n"
        "heavy |= {'aiohttp', 'asyncio', 'headrace.loadtest'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=True, capture_output=True)


def test_the_version_is_shown() -> None:
    assert CliRunner().invoke(cli, ["--version"]).output.startswith("headrace ")


def test_a_wrong_variable_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADRACE_PORT", "none")
    assert run_main(monkeypatch, "settings") == 1
    stderr = capfd.readouterr().err
    assert stderr.startswith("headrace: HEADRACE_PORT: ")
    assert stderr.count("\n") == 1


def test_a_wrong_option_is_status_2_and_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "up", "--port", "none") == 2
    assert "HEADRACE_PORT" in capfd.readouterr().err


def test_a_wrong_variable_is_not_blamed_on_the_options(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADRACE_WORKERS", "many")
    assert run_main(monkeypatch, "up", "--port", "9000") == 1
    assert "HEADRACE_WORKERS" in capfd.readouterr().err


def test_an_unknown_option_is_status_2(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_main(monkeypatch, "up", "--fast") == 2


def test_settings_lists_every_setting() -> None:
    listed = CliRunner().invoke(cli, ["settings"]).output
    for field in Settings.model_fields:
        [line] = [line for line in listed.splitlines() if line.startswith(variable(field) + " ")]
        assert default_text(field) in line
        assert describe(field) in line


def test_settings_shows_the_value_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_PORT", "9123")
    assert "9123" in CliRunner().invoke(cli, ["settings"]).output


def test_settings_hides_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://user:secret@queue:6379")
    listed = CliRunner().invoke(cli, ["settings"]).output
    assert "redis://user:***@queue:6379" in listed
    assert "secret" not in listed
