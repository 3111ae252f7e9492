"""A deployment with a simulated engine, and the environments of the tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.environments import Environments
from headrace.core.card_store import CardStore
from headrace.core.connection import WORKER_TIMEOUT_S, connect
from headrace.core.model_card import ModelCard
from tests.deployment import Deployment
from tests.instruments.tools import Site

STEP_S = 0.3
"""A step of the engine, long beside what the tools take to send their next request (30 ms).

In a closed loop that time is taken off the TTFT: whoever comes later waits less for the next step.
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--environments", type=Path, default=Path(".environments"))
    parser.addoption("--rounds", type=int, default=3, help="how often each tool runs a load")
    parser.addoption("--report", type=Path, help="writes the figures there, as JSON")


@pytest.fixture(scope="session")
def environments(request: pytest.FixtureRequest) -> Environments:
    """Those of the tools, made where they are not there yet."""
    environments = Environments(request.config.getoption("--environments"), print)
    try:
        for name in ("guidellm", "aiperf", "vllm"):
            environments.python(name)
    except RuntimeError as error:
        pytest.fail(f"the tools cannot be installed: {error}", pytrace=False)
    return environments


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("up")
    models = tmp_path_factory.mktemp("models")
    law = {"alpha_s": STEP_S, "beta_s": 0, "gamma_s": 0}
    settings = {f"HEADRACE_SIMULATED_{name.upper()}": str(value) for name, value in law.items()}
    deployment = Deployment(folder, models, HEADRACE_ENGINE="simulated", **settings)
    deployment.start()
    yield deployment
    deployment.close()


@pytest.fixture(scope="module")
def site(
    deployment: Deployment, environments: Environments, tmp_path_factory: pytest.TempPathFactory
) -> Site:
    redis = connect(deployment.redis_url, WORKER_TIMEOUT_S)
    card = CardStore(redis).current()
    redis.connection_pool.disconnect()
    folder = tmp_path_factory.mktemp("tokenizer")
    _write_tokenizer(card, folder)
    template_tokens = len(card.tokenize_chat([{"role": "user", "content": ""}]))
    return Site(deployment.url, card.name, template_tokens, folder, environments)


def _write_tokenizer(card: ModelCard, folder: Path) -> None:
    """As transformers loads it: the tools count tokens by themselves."""
    (folder / "tokenizer.json").write_text(card.tokenizer_json)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": card.bos_token,
        "eos_token": card.eos_token,
        "chat_template": card.chat_template,
        "model_max_length": card.context_tokens,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
