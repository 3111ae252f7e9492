from __future__ import annotations

import pytest

from headrace.core.api_key import (
    TENANT,
    ApiKey,
    Limits,
    Scope,
    digest_of,
    id_of,
    new_text,
)

TEXT = new_text()
KEY = ApiKey(
    id=id_of(TEXT) or "",
    digest=digest_of(TEXT),
    name="alice's laptop",
    tenant="alice",
    scopes=frozenset({Scope.SUBMIT, Scope.READ}),
    limits=Limits(requests_per_minute=60, queue_share=0.25),
    created=1_700_000_000.5,
    expires=None,
)


def test_a_key_comes_back_from_redis_as_it_went() -> None:
    assert ApiKey.decode(KEY.encode().encode()) == KEY


def test_what_is_stored_does_not_hold_the_key() -> None:
    assert TEXT not in KEY.encode()
    assert TEXT.rpartition("_")[2] not in KEY.encode()


def test_a_key_is_recognised_by_its_text_alone() -> None:
    assert KEY.is_text(TEXT)
    assert not KEY.is_text(TEXT[:-1] + ("a" if TEXT[-1] != "a" else "b"))


def test_no_two_keys_are_alike_and_all_can_be_recognised() -> None:
    texts = {new_text() for _key in range(100)}
    assert len(texts) == 100
    assert all(text.startswith("hr_") and id_of(text) for text in texts)


@pytest.mark.parametrize(
    "text",
    ["", "none", "hr_", TEXT[1:], TEXT + "x", TEXT + "\n", TEXT.replace("hr_", "HR_")],
    ids=["nothing", "a word", "a prefix", "cut off", "too long", "a line", "upper case"],
)
def test_what_can_be_no_key_has_no_id(text: str) -> None:
    assert id_of(text) is None


@pytest.mark.parametrize("name", ["", "a b", "a:b", "ä", "x" * 65, "a\n"])
def test_a_tenant_cannot_be_called_so(name: str) -> None:
    assert TENANT.fullmatch(name) is None
