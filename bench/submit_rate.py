"""How many jobs one API process accepts a second, beside a route that does nothing.

Once with prompts of token ids, once with texts of as many tokens; the route that does nothing gets
the same bodies. Callers show a key that has every limit, none of which is ever reached.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from bench.api_process import ApiProcess
from bench.rounds import interleave, ratio
from bench.server import Server, empty
from headrace.core.api_key import Limits, Scope
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.card_store import CardStore
from headrace.core.model_card import ModelCard
from headrace.loadtest.words import WORDS

PROMPT_TOKENS = 100
MAX_TOKENS = 16
CONNECTIONS = 32
LIMITS = Limits(
    requests_per_minute=10**9, tokens_per_minute=10**12, running_jobs=10**9, queue_share=1.0
)
ROOMY = {"HEADRACE_QUEUE_MAX_JOBS": str(10**9), "HEADRACE_QUEUE_MAX_TOKENS": str(10**12)}


def measure(server: Server, card: ModelCard, pairs: int, seconds: float) -> dict[str, Any]:
    """Rates and ratios of both kinds of prompts; those of texts end with `_text`."""
    cards, text = CardStore(server.client()), make_prompt(card)
    bodies = {"": make_body(list(card.tokenize(text))), "_text": make_body(text)}
    with (
        ApiProcess("api.app:create_app()", REDIS_URL=server.url, **ROOMY) as ours,
        ApiProcess("bench.bare_app:create_app()") as bare,
    ):

        def submit(body: bytes) -> dict[str, float]:
            empty(server.client())
            cards.put(card)
            return hammer(ours.url, body, seconds, key_header(server))

        def answer(body: bytes) -> dict[str, float]:
            return hammer(bare.url, body, seconds, key_header(server))

        variants: dict[str, Callable[[], dict[str, float]]] = {}
        for kind, body in bodies.items():
            variants |= {f"submit{kind}": partial(submit, body)}
            variants |= {f"bare{kind}": partial(answer, body)}
        for warm_up in variants.values():
            warm_up()
        runs = interleave(pairs, variants, "pairs")
    return {
        **_figures(runs, ""),
        **_figures(runs, "_text"),
        "client_cpu_share": max(_median(each, "cpu_share") for each in runs.values()),
        "pairs": pairs,
        "connections": CONNECTIONS,
        "prompt_tokens": PROMPT_TOKENS,
    }


def _figures(runs: Mapping[str, Sequence[dict[str, float]]], kind: str) -> dict[str, Any]:
    accepted, answered = runs[f"submit{kind}"], runs[f"bare{kind}"]
    return {
        f"submit_per_s{kind}": _median(accepted, "per_s"),
        f"bare_flask_per_s{kind}": _median(answered, "per_s"),
        **ratio(
            f"ratio_submit_vs_bare{kind}",
            [run["per_s"] for run in accepted],
            [run["per_s"] for run in answered],
        ),
    }


def make_prompt(card: ModelCard) -> str:
    """A text of exactly as many tokens. Raises `ValueError` where none has."""
    for count in range(PROMPT_TOKENS + 1):
        prompt = " ".join(WORDS[:count])
        if len(card.tokenize(prompt)) == PROMPT_TOKENS:
            return prompt
    raise ValueError(f"no prompt of {PROMPT_TOKENS} tokens is made of these words")


def make_body(prompt: str | list[int]) -> bytes:
    return json.dumps({"prompt": prompt, "max_tokens": MAX_TOKENS}).encode()


def key_header(server: Server) -> str:
    """Of a new key, as the command line makes it."""
    text, _key = ApiKeyStore(server.client()).create(
        "bench", frozenset({Scope.SUBMIT}), limits=LIMITS
    )
    return f"Authorization: Bearer {text}"


def hammer(url: str, body: bytes, seconds: float, header: str) -> dict[str, float]:
    """Raises `RuntimeError` where not all answers were successes."""
    command = [sys.executable, "-m", "bench.hammer", f"{url}/v1/jobs", f"--seconds={seconds}"]
    run = subprocess.run(
        [*command, f"--connections={CONNECTIONS}", f"--header={header}"],
        input=body,
        capture_output=True,
        check=True,
    )
    report: dict[str, float] = json.loads(run.stdout)
    if report["not_good"]:
        raise RuntimeError(f"{report['not_good']:g} requests to {url} failed")
    return report


def _median(runs: Sequence[dict[str, float]], name: str) -> float:
    return round(statistics.median(run[name] for run in runs), 3)
