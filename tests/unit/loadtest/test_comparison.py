from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from headrace.core.errors import InvalidRequest
from headrace.loadtest.comparison import Comparison, compare
from headrace.loadtest.saved import SavedBounds, SavedLevel, SavedReport, SavedSpread
from headrace.loadtest.slo import Slo
from tests.unit.loadtest.runs import a_level, a_report, a_run, answered

ROUNDS = 25


def two_levels(seed: int, slowdown: float = 1.0) -> SavedReport:
    """Levels of 4 and 12 users."""
    e2e_s = 0.5 * slowdown
    return a_report(a_run(seed, 4, 120, e2e_s), a_run(seed + 1000, 12, 150, e2e_s))


def compared(a: SavedReport, b: SavedReport, **options: Any) -> Comparison:
    return compare(a, b, rounds=ROUNDS, **options)


def statuses(comparison: Comparison) -> dict[str, str]:
    """Of the first level."""
    return {change.metric: change.status for change in comparison.levels[0].changes}


def nearly_constant(e2e_s: float, requests: int = 100) -> SavedLevel:
    """As a simulated engine answers: with two values, and four users in step."""
    at_s = [e2e_s * step for step in range(requests // 4) for _user in range(4)]
    times = [e2e_s + 0.00001 * (number % 2) for number in range(len(at_s))]
    return a_level(answered(at_s, times), users=4)


def test_equal_runs_are_told_apart_at_most_once_in_twenty() -> None:
    verdicts = Counter(
        compared(two_levels(2 * pair), two_levels(2 * pair + 1)).verdict for pair in range(200)
    )
    assert verdicts["slower"] + verdicts["faster"] <= 10
    assert verdicts["equal"] >= 190


def test_a_slowdown_by_a_fifth_is_found() -> None:
    pairs = [(two_levels(2 * pair), two_levels(2 * pair + 1, 1.2)) for pair in range(100)]
    assert sum(compared(*pair).verdict == "slower" for pair in pairs) >= 95


def test_a_speedup_by_a_fifth_is_found() -> None:
    pairs = [(two_levels(2 * pair), two_levels(2 * pair + 1, 1 / 1.2)) for pair in range(20)]
    assert sum(compared(*pair).verdict == "faster" for pair in pairs) >= 19


def test_nearly_constant_latencies_are_compared_as_well() -> None:
    a = a_report(nearly_constant(0.4))
    assert compared(a, a_report(nearly_constant(0.41))).verdict == "equal"
    slower = compared(a, a_report(nearly_constant(0.48)))
    assert slower.verdict == "slower"
    assert statuses(slower)["goodput"] == "equal"
    for change in slower.levels[0].changes:
        assert change.low <= change.change <= change.high


def test_a_report_beside_itself_is_equal_in_all() -> None:
    report = a_report(a_run(1, users=1, requests=200))
    found = compared(report, report)
    assert found.verdict == "equal"
    assert statuses(found) == dict.fromkeys(
        ("e2e.p50", "e2e.p95", "ttft.p50", "tpot.p50", "throughput", "goodput", "errors"), "equal"
    )


def test_one_slower_metric_outweighs_faster_ones() -> None:
    a, b = a_run(1), a_run(2, e2e_s=0.3)
    late = replace(b.records, ttft_s=tuple(5 * (each or 0.0) for each in b.records.ttft_s))
    found = compared(a_report(a), a_report(replace(b, records=late)))
    assert (statuses(found)["e2e.p50"], statuses(found)["ttft.p50"]) == ("faster", "slower")
    assert found.verdict == "slower"


def test_too_few_requests_are_unsure_and_not_equal() -> None:
    found = compared(
        *(a_report(a_run(seed, users=1, requests=8, noise=0.3)) for seed in (1, 2)),
    )
    assert statuses(found)["e2e.p50"] == "unsure"
    assert found.verdict == "unsure"
    assert found.levels[0].not_compared == {"e2e.p95": "too few values to tell"}


def test_a_first_token_a_step_later_is_unsure_where_users_run_in_step() -> None:
    a, b = nearly_constant(0.4), nearly_constant(0.4)
    later = tuple((ttft_s or 0.0) + 0.02 for ttft_s in b.records.ttft_s)
    found = compared(a_report(a), a_report(replace(b, records=replace(b.records, ttft_s=later))))
    assert statuses(found)["ttft.p50"] == "unsure"


def test_failed_requests_are_slower() -> None:
    level = a_run(1)
    some = tuple(None if row % 4 == 0 else e2e for row, e2e in enumerate(level.records.e2e_s))
    failing = replace(level, records=replace(level.records, e2e_s=some))
    found = compared(a_report(level), a_report(failing))
    assert (statuses(found)["errors"], statuses(found)["goodput"]) == ("slower", "slower")
    assert found.verdict == "slower"


def test_a_level_that_is_not_valid_is_compared_in_nothing() -> None:
    broken = replace(a_run(2), valid=False, problems=("lag: too busy",))
    found = compared(a_report(a_run(1)), a_report(broken))
    assert found.levels[0].problems == ["B is not valid: lag: too busy"]
    assert found.levels[0].changes == []
    assert found.verdict == "not comparable"


def test_levels_of_one_report_only_are_listed() -> None:
    found = compared(
        a_report(a_run(1, 1), a_run(1, 4)),
        a_report(a_run(2, 4), a_level(a_run(2).records, label="4", kind="open", rate=4.0)),
    )
    assert (found.only_in_a, found.only_in_b) == (["closed 1"], ["open 4"])
    assert [level.level for level in found.levels] == ["4"]


def test_without_a_level_in_both_nothing_is_comparable() -> None:
    assert compared(a_report(a_run(1, 1)), a_report(a_run(1, 2))).verdict == "not comparable"


@pytest.mark.parametrize(
    ("changes", "of_level", "says"),
    [
        ({"api": "sync"}, {}, "api stream in A, sync in B"),
        ({"load_temperature": 0.5}, {}, "temperature 0.0 in A, 0.5 in B"),
        ({"load_prompts_file": "p.txt"}, {}, "prompts_file None in A, p.txt in B"),
        ({}, {"max_tokens": 64}, "level 4: max_tokens 16 in A, 64 in B"),
    ],
)
def test_another_load_is_refused_and_what_differs_is_named(
    changes: dict[str, Any], of_level: dict[str, Any], says: str
) -> None:
    b = a_report(replace(a_run(2), **of_level), **changes)
    with pytest.raises(InvalidRequest, match=f"the loads differ: {says}"):
        compared(a_report(a_run(1)), b)


def test_what_may_differ_on_purpose_is_noted() -> None:
    b = a_report(a_run(2), model="other", machine={"cpu": "64 x new"}, load_seed=7)
    assert compared(a_report(a_run(1)), b).notes == [
        "model tiny in A, other in B",
        "machine 2 x fast in A, 64 x new in B",
        "seed 0 in A, 7 in B",
    ]


def test_both_are_judged_by_the_slo_of_a() -> None:
    strict = Slo(latency_s=0.1, tpot_s=0.0)
    found = compared(a_report(a_run(1)), a_report(a_run(1), load_slo=strict))
    assert statuses(found)["goodput"] == "equal"
    assert "SLO: latency_s 1.0 in A, 0.1 in B; both are judged by A's" in found.notes


def test_what_different_sides_have_seen_is_not_compared() -> None:
    found = compared(a_report(a_run(1)), a_report(replace(a_run(2), tpot=SavedSpread("client"))))
    assert found.levels[0].not_compared["tpot.p50"] == ("A's is the server's, B's the client's")


def test_a_wider_tolerance_lets_more_pass() -> None:
    a, b = a_report(nearly_constant(0.4)), a_report(nearly_constant(0.44))
    assert compared(a, b).verdict == "slower"
    assert compared(a, b, tolerance=0.15).verdict == "equal"


def repeated(*seeds: int, e2e_s: float = 0.5) -> SavedReport:
    """One level, a run a seed."""
    runs = [replace(a_run(seed, e2e_s=e2e_s), run=run) for run, seed in enumerate(seeds, 1)]
    return a_report(*runs, load_repeat=len(seeds))


def test_all_runs_of_a_level_are_compared_as_one() -> None:
    assert compared(repeated(1, 2, 3), repeated(4, 5, 6)).verdict == "equal"
    slower = compared(repeated(1, 2, 3), repeated(4, 5, 6, e2e_s=0.6))
    assert (len(slower.levels), slower.verdict) == (1, "slower")


def test_runs_that_are_far_apart_are_not_called_slower() -> None:
    apart = [replace(a_run(7, e2e_s=e2e_s)) for e2e_s in (0.4, 0.5, 0.8)]
    b = a_report(*(replace(each, run=run) for run, each in enumerate(apart, 1)), load_repeat=3)
    assert statuses(compared(repeated(1, 2, 3), b))["e2e.p50"] == "unsure"


def test_a_run_that_is_not_valid_does_not_count() -> None:
    good = repeated(4, 5, 6)
    late = replace(a_run(6, e2e_s=5.0), run=3, valid=False, problems=("lag: busy",))
    one_bad = replace(good, levels=(*good.levels[:2], late))
    assert compared(repeated(1, 2, 3), one_bad).verdict == "equal"
    two_bad = replace(good, levels=(good.levels[0], replace(late, run=2), late))
    assert compared(repeated(1, 2, 3), two_bad).levels[0].problems == [
        "B is not valid in run 2: lag: busy",
        "B is not valid in run 3: lag: busy",
    ]


def test_goodput_by_name_is_compared_by_the_bounds_of_a() -> None:
    a = a_report(a_run(1), load_goodput={"quick": SavedBounds(e2e_s=0.55)})
    found = compared(a, a_report(a_run(2, e2e_s=0.6)))
    assert statuses(found)["goodput.quick"] == "slower"
    assert statuses(found)["goodput"] == "equal"
    assert "--goodput differs: both are judged by A's" in found.notes
