"""Trials of JSON schemas as the torch engine compiles them, in their helper process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models

from batcher.engine import make_trial
from batcher.trial_process import TrialProcess
from headrace.core.settings import load_settings
from tests.fakes import CARD

ENDLESS = '{"type": "string", "pattern": "^((([a-y]{1,40}){1,40}){1,40}){1,40}$"}'
NO_FOLDER = Path("/nowhere")
"""The trial needs the card alone."""


@pytest.fixture(scope="module")
def trial() -> Iterator[TrialProcess]:
    trial = make_trial(load_settings(schema_compile_ms=700), "TorchEngine", CARD, NO_FOLDER)
    yield trial
    trial.close()


@pytest.mark.parametrize("schema", ['{"type": "string", "maxLength": 99}', "{}"])
def test_a_schema_that_is_quick_to_hold_passes(trial: TrialProcess, schema: str) -> None:
    verdict = trial.judge(schema)
    assert verdict is not None
    assert verdict.complaint(most_s=0.7) is None


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ("{not json", ""),
        ('{"not": {}}', 'Unimplemented keys: ["not"]'),
        ('{"$ref": "#/nowhere"}', "does not exist"),
        ('{"type": "string", "pattern": "(unclosed"}', "unclosed group"),
        ('{"$ref": "#"}', "its grammar gives up"),
        (ENDLESS, "its grammar gives up"),
    ],
)
def test_a_schema_that_cannot_be_held_is_refused_and_harms_no_other(
    trial: TrialProcess, schema: str, complaint: str
) -> None:
    verdict = trial.judge(schema)
    assert verdict is not None and verdict.refusal is not None
    assert complaint in verdict.refusal
    assert trial.judge('{"type": "boolean"}') is not None


def test_a_model_whose_tokenizer_has_no_grammars_has_each_schema_refused() -> None:
    words = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    words.decoder = decoders.WordPiece()
    card = replace(CARD, tokenizer_json=words.to_str(), eos_token_ids=(1,))
    trial = make_trial(load_settings(), "TorchEngine", card, NO_FOLDER)
    verdict = trial.judge("{}")
    trial.close()
    assert verdict is not None
    assert "tokenizer has no grammars" in str(verdict.refusal)
