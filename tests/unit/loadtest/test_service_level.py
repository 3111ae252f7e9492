from __future__ import annotations

import pytest

from headrace.core.errors import InvalidRequest
from headrace.loadtest.service_level import Bounds, is_met, parse_service_levels
from headrace.loadtest.slo import Slo
from tests.unit.loadtest.making import a_failure, a_record

CHAT = Bounds("chat", ttft_s=0.5, tpot_s=0.05)


def test_bounds_of_one_name_are_one_service_level() -> None:
    texts = ["chat=ttft:500,tpot:50", "ttft:200", "e2e:3000", "batch=e2e:60000"]
    assert parse_service_levels(texts) == [
        CHAT,
        Bounds("custom", ttft_s=0.2, e2e_s=3.0),
        Bounds("batch", e2e_s=60.0),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("chat", "bounds are ttft, tpot and e2e"),
        ("ttft:fast", "ttft is a number of ms above 0"),
        ("ttft:nan", "ttft is a number of ms above 0"),
        ("ttft:0", "ttft is a number of ms above 0"),
        ("itl:5", "bounds are ttft, tpot and e2e"),
        ("slo=ttft:5", "slo is the name of --slo-latency-s"),
        ("high=ttft:5", "not low or high"),
        ("Two Words=ttft:5", "a name is of a-z"),
        ("ttft:5,ttft:6", "two bounds of ttft"),
    ],
)
def test_what_is_no_service_level_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=f"--goodput: .*{says}"):
        parse_service_levels([text])


def test_an_answer_is_good_when_it_keeps_to_all_bounds() -> None:
    assert CHAT.allows(9.0, 0.5, 10, 0.05)
    assert not CHAT.allows(9.0, 0.51, 10, 0.05)
    assert not CHAT.allows(9.0, 0.5, 10, 0.051)
    assert not Bounds("whole", e2e_s=1.0).allows(1.1, 0.1, 10, 0.01)


def test_an_unknown_time_is_too_long_and_one_token_has_no_tpot() -> None:
    assert not CHAT.allows(0.1, None, 10, 0.01)
    assert not CHAT.allows(0.1, 0.1, 10, None)
    assert CHAT.allows(0.1, 0.1, 1, None)


def test_what_failed_meets_nothing() -> None:
    assert is_met(Bounds("any", e2e_s=100.0), a_record())
    assert not is_met(Bounds("any", e2e_s=100.0), a_failure())


def test_a_service_level_says_what_is_good() -> None:
    assert str(CHAT) == "TTFT <= 500 ms, TPOT <= 50 ms"
    assert str(Slo(1.0, 0.15)) == "within 1 s + 0.15 s a token, begun within 1 s"
