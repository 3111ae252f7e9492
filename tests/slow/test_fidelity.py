"""The bundled model on a long text, and whether both engines say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from batcher.engine import load_engine
from batcher.fidelity.comparison import compare
from batcher.fidelity.reference import reference_logprobs
from batcher.model_source import resolve_source
from batcher.model_store import prepare_model
from batcher.openvino_engine.paged_logits import paged_logits
from batcher.openvino_engine.pipeline import FLOAT32, properties_of
from headrace.core.settings import Settings
from headrace.core.types import Request, Sampling

LICENSE = (Path(__file__).parents[2] / "LICENSE").read_text()[:6000]
PREFIXES = 80

SERVED_TOP1 = 0.96
"""With exact weights bfloat16 comes to 0.978 here: OpenVINO gives logits in steps of an eighth."""


@pytest.mark.parametrize("form", ["float32", "this processor's", "one without bfloat16"])
def test_the_default_answers_as_its_model_would(smollm2_models: Path, form: str) -> None:
    settings = Settings(state_dir=smollm2_models.parent)
    prepared = prepare_model(settings, print)
    properties = {
        "float32": FLOAT32,
        "this processor's": properties_of(settings),
        "one without bfloat16": properties_of(settings) | {"INFERENCE_PRECISION_HINT": "f32"},
    }[form]
    ids = prepared.card.tokenize(LICENSE)
    file = resolve_source("smollm2").path
    assert file is not None
    expected = reference_logprobs(file, ids, prepared.card.context_tokens)
    found = compare(expected, paged_logits(prepared.path, properties, ids), ids[1:])
    assert found.kl <= (0.001 if form == "float32" else 0.003)
    assert found.top1 >= (0.97 if form == "float32" else SERVED_TOP1)


def test_both_engines_choose_the_same_next_token(smollm2_models: Path) -> None:
    openvino, torch = (next_tokens(smollm2_models, engine) for engine in ("openvino", "torch"))
    same = sum(openvino[name] == torch[name] for name in openvino)
    assert len(openvino) == PREFIXES
    assert same >= 75


def next_tokens(models: Path, name: str) -> dict[str, int]:
    """What an engine finds most likely behind each of the prefixes."""
    settings = Settings(state_dir=models.parent, engine=name)
    prepared = prepare_model(settings, print)
    engine, ids = load_engine(settings, prepared), prepared.card.tokenize(LICENSE)
    rules, card = Sampling(max_tokens=1, temperature=0.0), prepared.card
    for number in range(PREFIXES):
        prompt = ids[: 8 + number * (len(ids) - 8) // PREFIXES]
        engine.add(Request(str(number), card.name, card.hash, prompt, rules))
    found: dict[str, int] = {}
    while not engine.is_idle:
        for delta in engine.step():
            found[delta.request_id] = delta.token_ids[0]
    engine.close()
    return found
