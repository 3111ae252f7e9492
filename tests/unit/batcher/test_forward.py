from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batcher.model_store import PreparedModel
from batcher.torch_engine import forward
from batcher.torch_engine.engine import TorchEngine
from batcher.torch_engine.linear import PACKED_ROWS
from batcher.torch_engine.model import load_model
from headrace.core.model_card import ModelCard
from headrace.core.settings import load_settings
from tests.unit.batcher.driving import Output, a_request, drain

REQUESTS = 23


@pytest.fixture
def make_engine(card: ModelCard, tiny_llama: Path) -> Any:
    def make() -> TorchEngine:
        settings = load_settings(
            engine="torch", dtype="float32", threads=1, max_slots=REQUESTS, prefill_tokens=50
        )
        model = PreparedModel("torch", tiny_llama, card)
        return TorchEngine(load_model(settings, model.path), settings, model.card)

    return make


def serve(engine: TorchEngine) -> dict[str, Output]:
    for number in range(REQUESTS):
        prompt = [40 + number, *range(30, 30 + number)]
        engine.add(a_request(f"{number}", prompt, max_tokens=3 + number % 7))
    return drain(engine)


def test_packed_products_see_few_numbers_of_rows_and_bring_the_same_tokens(
    make_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = serve(make_engine())
    monkeypatch.setattr(forward, "row_multiple", lambda _model: PACKED_ROWS)
    engine, rows = make_engine(), set()
    embeddings = engine._forward._model.get_input_embeddings()
    embeddings.register_forward_hook(lambda _module, inputs, _: rows.add(inputs[0].shape[-1]))
    outputs = serve(engine)
    assert outputs == expected
    assert max(rows) > PACKED_ROWS
    assert [number for number in rows if number > PACKED_ROWS and number % PACKED_ROWS] == []
