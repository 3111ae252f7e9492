from __future__ import annotations

import pytest

from headrace.core.errors import InvalidRequest
from headrace.loadtest.target import Address


@pytest.mark.parametrize("url", ["http://a:1", "http://a:1/", "http://a:1/v1", "http://a:1/v1/"])
def test_an_address_may_end_with_v1_or_not(url: str) -> None:
    assert Address.parse(url) == Address("http://a:1")


def test_a_path_before_v1_is_kept() -> None:
    assert Address.parse("https://host/llm/v1").root == "https://host/llm"


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000",
        "ftp://a",
        "http://",
        "http://a:x",
        "http://me:key@a",
        "http://:key@a",
        "http://[::1",
    ],
)
def test_what_cannot_be_asked_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="--url") as refused:
        Address.parse(url)
    assert "key" not in str(refused.value).replace("a key goes into --api-key", "")
