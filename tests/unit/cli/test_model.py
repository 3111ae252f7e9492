from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from batcher import model_store
from batcher.model_store import PreparedModel, Progress
from headrace.cli.main import cli
from headrace.core.card_extras import CardExtras
from headrace.core.errors import ModelError
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that a model was prepared with; `absent` is one that is nowhere."""
    asked: list[Settings] = []

    def prepare_model(settings: Settings, progress: Progress) -> PreparedModel:
        asked.append(settings)
        if settings.model == "absent":
            raise ModelError("no model named absent")
        progress("reading the weights")
        progress("writing the card")
        extras = CardExtras(chat_error="no loops" if settings.model == "mute" else None)
        card = ModelCard(settings.model, "{}", 128, eos_token_ids=(0,), extras=extras)
        return PreparedModel("torch", settings.models_dir / settings.model, card)

    monkeypatch.setattr(model_store, "prepare_model", prepare_model)
    return asked


def test_stages_are_lines_where_there_is_no_terminal(asked: list[Settings], tmp_path: Path) -> None:
    options = ["--model", "tiny", "--state-dir", str(tmp_path)]
    result = CliRunner().invoke(cli, ["model", "prepare", *options])
    assert result.stderr == "reading the weights\nwriting the card\n"
    assert result.stdout == f"tiny is ready for torch in {tmp_path}/models/tiny\n"


def test_the_home_folder_may_be_written_as_a_tilde(
    asked: list[Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    CliRunner().invoke(cli, ["model", "prepare", "--state-dir", "~/state"])
    assert asked[0].state_dir == tmp_path / "state"


@pytest.mark.usefixtures("asked")
def test_a_model_that_is_nowhere_is_an_error() -> None:
    result = CliRunner().invoke(cli, ["model", "prepare", "--model", "absent"])
    assert isinstance(result.exception, ModelError)


@pytest.mark.usefixtures("asked")
def test_a_model_that_takes_no_chats_is_ready_all_the_same() -> None:
    result = CliRunner().invoke(cli, ["model", "prepare", "--model", "mute"])
    assert result.exit_code == 0
    assert "mute is ready for torch" in result.stdout
    assert "but not for chats, as its chat template fails: no loops\n" in result.stderr
