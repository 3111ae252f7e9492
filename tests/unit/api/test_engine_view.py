"""How truly the engines answer, as /v1/models shows it."""

from __future__ import annotations

from flask.testing import FlaskClient

from api.engine_view import engines_json
from headrace.core.connection import Client
from headrace.core.fidelity import Fidelity
from headrace.core.roster import Roster, WorkerState
from headrace.core.types import EngineStats

FOUND = Fidelity("bfloat16", kl=0.001, top1=0.98, perplexity_ratio=1.001, tokens=320)


def worker(
    name: str, fidelity: Fidelity | None = FOUND, engine: str = "TorchEngine"
) -> WorkerState:
    return WorkerState(name, "ready", 1, engine, EngineStats(), fidelity=fidelity)


def test_workers_of_one_engine_are_one_entry() -> None:
    [view] = engines_json([worker("a"), worker("b")])
    assert view == {
        "engine": "TorchEngine",
        "dtype": "bfloat16",
        "kl": 0.001,
        "top1": 0.98,
        "perplexity_ratio": 1.001,
        "workers": 2,
    }


def test_a_worker_that_reports_none_is_shown_without_figures() -> None:
    views = engines_json([worker("a"), worker("b", None, "SimulatedEngine")])
    assert [(view["dtype"], view["kl"]) for view in views] == [
        ("bfloat16", 0.001),
        ("unknown", None),
    ]


def test_models_show_it(client: FlaskClient, redis: Client) -> None:
    Roster(redis, ttl_s=60.0).beat(worker("worker-1"))
    [model] = client.get("/v1/models").get_json()["data"]
    assert model["engines"][0]["kl"] == 0.001
