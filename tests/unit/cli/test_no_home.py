"""Commands of a user without a home folder, as containers on OpenShift have them."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import NoReturn

import pytest
from click.testing import CliRunner, Result

from headrace.cli.main import cli
from headrace.cli.state_folder import locked
from headrace.core.errors import HeadraceError, ModelError, SettingsError
from headrace.core.settings import load_settings
from tests.unit.cli.all_commands import commands, words_of

NOBODY_ANSWERS = {"REDIS_URL": "redis://127.0.0.1:1", "HEADRACE_URL": "http://127.0.0.1:1"}
IN_THE_STATE_FOLDER = ["up", "top", "slo", "scaler log", "scaler fix", "keys list", "model prepare"]


@pytest.fixture(autouse=True)
def no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A uid that no list of users knows."""

    def unknown(uid: int) -> NoReturn:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME", raising=False)
    for name in ("REDIS_URL", "HEADRACE_STATE_DIR", "HEADRACE_ENGINE"):
        monkeypatch.delenv(name, raising=False)
    for module in ("headrace.cli.deployment", "headrace.core.telemetry"):
        monkeypatch.setattr(f"{module}.configure_logging", lambda *_: None)


def run(command: str, **variables: str) -> tuple[Result, str]:
    """The result, and all that the user is told; an error on purpose is one line."""
    words = ["model", "prepare"] if command == "model prepare" else words_of(command)
    result = CliRunner(env={"HEADRACE_ENGINE": "simulated", **variables}).invoke(cli, words)
    error = result.exception
    assert error is None or isinstance(error, SystemExit | HeadraceError), repr(error)
    return result, f"{result.output}{error or ''}"


@pytest.mark.parametrize("command", [*commands()])
def test_with_an_address_no_command_asks_for_a_folder(command: str) -> None:
    if command not in ("up", "model prepare", "settings"):
        _result, shown = run(command, **NOBODY_ANSWERS)
        assert "HEADRACE_STATE_DIR" not in shown


@pytest.mark.parametrize("command", IN_THE_STATE_FOLDER)
def test_who_needs_a_folder_says_so_in_one_line(command: str) -> None:
    _result, shown = run(command)
    assert shown.startswith("HEADRACE_STATE_DIR: ") and "no home folder" in shown
    assert "\n" not in shown.strip()


@pytest.mark.parametrize("home", ["/proc/nowhere", "/dev/null/home"])
def test_a_home_folder_that_cannot_be_made_is_named(
    monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.setenv("HOME", home)
    for command in ("up", "model prepare"):
        _result, shown = run(command)
        assert shown.startswith("HEADRACE_STATE_DIR: cannot") and home in shown
        assert "\n" not in shown.strip()
    assert run("top", **NOBODY_ANSWERS)[1].startswith("no Redis answers")


def test_the_settings_show_the_folder_as_it_was_written() -> None:
    assert "~/.local/state/headrace" in run("settings")[1]


def test_the_folder_that_is_named_is_used(tmp_path: Path) -> None:
    settings = load_settings(state_dir=tmp_path / "state")
    with locked(settings.state_folder):
        assert os.listdir(settings.state_folder)
    for home in ("~", "~/x", "~nobody-of-this-name/x"):
        with pytest.raises(SettingsError, match="HEADRACE_STATE_DIR"):
            _ = load_settings(state_dir=home).state_folder


def test_a_model_in_a_home_folder_is_refused_in_one_line() -> None:
    from batcher.model_source import resolve_source

    with pytest.raises(ModelError, match="home folder"):
        resolve_source("~/mine")


def test_a_file_of_the_scaler_in_a_home_folder_is_refused_by_its_name() -> None:
    with pytest.raises(SettingsError, match=r"HEADRACE_SCALER_START: .*home folder"):
        load_settings(scaler_start="~/start.json")
