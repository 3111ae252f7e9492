"""Checks of our own, beside those of schemathesis, and what is not asked."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response

MEANT = {
    "after": "a cursor, or a place in a stream, that there is not",
    "Last-Event-ID": "a place that the stream does not have",
    "Idempotency-Key": "quotes around nothing",
    "max_tokens": "more than fits the model",
    "messages": "none, or more, than fits the model",
    "prompt": "the same, ids outside its vocabulary, or more choices than one request may ask for",
    "logprobs": "not every engine can name alternatives",
    "stop_token_ids": "ids outside the model's vocabulary",
    "logit_bias": "the same, and not every engine can do it",
    "min_tokens": "more than max_tokens, or with a grammar",
    "ignore_eos": "with a grammar",
    "response_format": "nor hold its output to a schema",
    "response_format.json_schema.schema": "no schema can say which schemas there are",
    "chat_template_kwargs": "without messages, or what the model's template fails at",
    "on_disconnect": "needs a header: `Prefer: wait=S`",
}
"""Fields whose shape may be right and whose meaning wrong."""

LONGEST = 3_500
"""Bytes of an address: gunicorn itself answers a longer one than 4,094, before the API sees it."""


@schemathesis.hook
def filter_query(_context: HookContext, query: Any) -> bool:
    return len(quote(str(query))) < LONGEST


@schemathesis.hook
def filter_path_parameters(_context: HookContext, path_parameters: Any) -> bool:
    return len(quote(str(path_parameters))) < LONGEST


@schemathesis.check
def refused_for_its_meaning_only(_ctx: CheckContext, response: Response, case: Case) -> None:
    if response.status_code == 400 and case.meta and case.meta.generation.mode.is_positive:
        error = json.loads(response.content)["error"]
        assert error["param"] in MEANT, f"may be sent, as the document says: {error['message']}"


@schemathesis.check
def too_late_only_where_there_is_a_deadline(
    _ctx: CheckContext, response: Response, case: Case
) -> None:
    if response.status_code == 504:
        error = json.loads(response.content)["error"]
        assert error["code"] == "deadline_exceeded", error["message"]
        assert isinstance(case.body, dict) and "deadline_s" in case.body
