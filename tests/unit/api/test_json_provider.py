"""Answers as JSON, whatever an error message quotes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from api.json_provider import JsonProvider


@pytest.mark.parametrize(
    "answer",
    [{"text": "é \u2028", "list": [1, 1.5, None, True]}, {"half": "\ud800"}, {"big": 2**70}],
)
def test_what_is_written_reads_the_same(answer: Any) -> None:
    assert json.loads(JsonProvider(Flask("test")).dumps(answer)) == answer
