"""Bodies that would keep a process busy are refused before they do."""

from __future__ import annotations

import time
from typing import Any

import pytest

from api.messages import MAX_MESSAGES
from api.schemas import MAX_STOP_CHARACTERS, Body, ChatBody, CompletionBody, JobBody
from headrace.core.errors import InvalidRequest

HI = [{"role": "user", "content": "Hi"}]
SOON_S = 2.0
"""Reading takes some hundredths of a second; what it took before is minutes, or many seconds."""

COSTLY: dict[str, tuple[type[Body], dict[str, Any], str]] = {
    "unknown fields": (ChatBody, {"messages": HI, **{f"f{n}": 1 for n in range(100_000)}}, "f0"),
    "a long name": (ChatBody, {"messages": HI, "x" * 1_000_000: 1}, "x" * 100),
    "messages": (ChatBody, {"messages": HI * (MAX_MESSAGES + 1)}, "messages"),
    "wrong messages": (ChatBody, {"messages": [5] * MAX_MESSAGES}, "messages.0"),
    "prompts": (CompletionBody, {"prompt": [[1]] * 300_000}, "prompt"),
    "wrong ids": (JobBody, {"prompt": [-1] * 500_000}, "prompt"),
    "wrong biases": (
        ChatBody,
        {"messages": HI, "logit_bias": {f"x{n}": "y" for n in range(100_000)}},
        "logit_bias",
    ),
    "a long stop": (ChatBody, {"messages": HI, "stop": "x" * (MAX_STOP_CHARACTERS + 1)}, "stop.0"),
}


@pytest.mark.parametrize("name", COSTLY)
def test_a_costly_body_is_refused_at_once_by_the_name_of_its_field(name: str) -> None:
    kind, body, param = COSTLY[name]
    began = time.process_time()
    with pytest.raises(InvalidRequest) as refused:
        kind.parse(body)
    assert time.process_time() - began < SOON_S
    assert refused.value.param == param
    assert len(str(refused.value)) < 1_000


def test_a_refusal_names_some_fields_and_counts_the_others() -> None:
    with pytest.raises(InvalidRequest, match=r"f7: no such field.*12 more fields are refused"):
        ChatBody.parse({"messages": HI, **{f"f{n}": 1 for n in range(20)}})


def test_what_is_at_its_bound_is_read() -> None:
    body = ChatBody.parse({"messages": HI * MAX_MESSAGES, "stop": "x" * MAX_STOP_CHARACTERS})
    assert len(body.messages) == MAX_MESSAGES
