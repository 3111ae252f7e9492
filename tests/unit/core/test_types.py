"""The request on its way through Redis."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from headrace.core.types import (
    FIRST_VERSION,
    IMPOSSIBLE,
    LATER_RULES,
    PAYLOAD_VERSION,
    RULES_VERSION,
    EngineStats,
    Feature,
    JobState,
    Priority,
    Request,
    Sampling,
    TokenLogprobs,
)
from tests.fakes import make_request

LATER: dict[str, Any] = {
    "min_tokens": 2,
    "ignore_eos": True,
    "stop_token_ids": (7, 9),
    "skip_special_tokens": False,
    "logit_bias": ((3, -100.0), (4, 0.5)),
    "expected_tokens": 9,
}


def test_a_request_survives_its_encoding() -> None:
    request = make_request(
        sampling=Sampling(5, 0.7, 0.9, 40, 2**62, ("stop", "\n"), **LATER),
        tenant="a",
        priority=Priority.BATCH,
        deadline_s=2.5,
        tokenize_s=0.001,
    )

    assert Request.decode(json.loads(json.dumps(request.encode()))) == request


def test_a_payload_of_an_older_version_lacks_fields_and_is_read() -> None:
    request = make_request()
    payload = request.encode() | {"version": 1}
    sampling = dict(payload["sampling"])
    for newer in ("min_p", "repetition_penalty", "presence_penalty", "frequency_penalty"):
        del sampling[newer]
    del sampling["logprobs"], sampling["json_schema"]
    assert Request.decode(payload | {"sampling": sampling}) == request


def test_a_request_is_as_old_as_what_it_asks_for() -> None:
    plain = make_request()
    assert plain.encode()["version"] == plain.version == FIRST_VERSION
    assert LATER.keys().isdisjoint(plain.encode()["sampling"])


@pytest.mark.parametrize("name", sorted(LATER))
def test_a_rule_that_older_workers_do_not_know_waits_for_a_newer_one(name: str) -> None:
    request = make_request(sampling=Sampling(5, **{name: LATER[name]}))
    assert request.encode()["version"] == request.version == RULES_VERSION
    assert LATER.keys() & request.encode()["sampling"].keys() == {name}


def test_only_a_traced_chat_says_that_it_is_one() -> None:
    assert "is_chat" not in make_request(is_chat=True).encode()
    assert "is_chat" not in make_request(traceparent="00-1-2-01").encode()
    chat = make_request(is_chat=True, traceparent="00-1-2-01")
    assert chat.encode()["version"] == chat.version == PAYLOAD_VERSION
    again = Request.decode(chat.encode(), id=chat.id, priority=chat.priority)
    assert again.is_chat


def test_every_later_rule_has_the_default_of_its_field() -> None:
    assert {name: getattr(Sampling(1), name) for name in LATER} == LATER_RULES


@pytest.mark.parametrize(
    "change", [{"version": 99}, {"version": None}, {"sampling": 5}, {"color": "red"}]
)
def test_a_payload_of_another_version_or_shape_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="payload"):
        Request.decode(make_request().encode() | change)


def test_a_request_costs_its_prompt_and_its_longest_output() -> None:
    assert make_request(prompt="12345", max_tokens=7).cost_tokens == 12


def test_only_waiting_and_running_are_not_terminal() -> None:
    assert [state for state in JobState if not state.is_terminal] == ["queued", "running"]


def test_the_mean_batch_size_of_an_engine_that_never_ran_is_zero() -> None:
    assert EngineStats().mean_batch_size == 0.0
    assert EngineStats(steps=4, rows=10).mean_batch_size == 2.5


def test_logprobs_survive_their_encoding_but_for_the_digits_that_nobody_reads() -> None:
    entry = TokenLogprobs(7, -0.123456789, ((7, -0.123456789), (9, -math.inf)))

    decoded = TokenLogprobs.decode(json.loads(json.dumps(entry.encode())))
    assert decoded == TokenLogprobs(7, -0.123457, ((7, -0.123457), (9, IMPOSSIBLE)))
    assert decoded.encode() == entry.encode()


@pytest.mark.parametrize(
    ("rules", "needs"),
    [
        ({}, set()),
        ({"logprobs": 0}, set()),
        ({"logprobs": 1}, {Feature.TOP_LOGPROBS}),
        ({"json_schema": "{}"}, {Feature.JSON_SCHEMA}),
        ({"logit_bias": ((3, 0.5),)}, {Feature.LOGIT_BIAS}),
        ({"ignore_eos": True, "min_tokens": 3, "stop_token_ids": (4,)}, set()),
    ],
)
def test_a_request_says_what_not_every_engine_can_do(
    rules: dict[str, Any], needs: set[Feature]
) -> None:
    assert Sampling(5, **rules).needs == needs


def test_a_request_with_a_limit_keeps_places_up_to_its_limit() -> None:
    request = make_request(prompt="12345", max_tokens=7)

    assert request.charged_tokens == 12
    assert [request.kept_tokens(made) for made in (0, 3, 7)] == [12, 12, 12]


def test_a_request_without_a_limit_counts_as_much_as_it_will_probably_make() -> None:
    request = make_request(prompt="12345", max_tokens=500, expected_tokens=100)

    assert (request.charged_tokens, request.cost_tokens) == (105, 505)
    assert [request.left_tokens(made) for made in (0, 60, 200, 490, 500)] == [100, 40, 16, 10, 0]
    assert [request.kept_tokens(made) for made in (0, 200)] == [5 + 64, 5 + 200 + 64]
    assert request.kept_tokens(500) == 505
