"""What `make fuzz-api` calls wrong."""

from __future__ import annotations

import json
import random

import pytest

from tests import hostile_bodies
from tests.neighbour_fuzzing import Shot, judge

GOOD = [0.04] * 100


def shot(status: int | None, code: str = "") -> Shot:
    return Shot("it", status, code, 0.0, 0.1)


@pytest.mark.parametrize(
    ("status", "code"), [(500, "None"), (503, "unavailable"), (502, ""), (None, "no answer")]
)
def test_a_server_error_is_wrong(status: int | None, code: str) -> None:
    assert judge([shot(status, code)], GOOD, 0.04, 0.0) == [f"it: {status} {code}"]


@pytest.mark.parametrize(
    ("status", "code"), [(200, ""), (400, "x"), (429, ""), (503, "schema_undecided"), (504, "")]
)
def test_a_refusal_is_right(status: int, code: str) -> None:
    assert judge([shot(status, code)], GOOD, 0.04, 0.0) == []


def test_a_neighbour_that_waits_longer_than_three_steps_is_wrong() -> None:
    assert judge([], [*GOOD, 0.2, 0.2], 0.04, 0.0)
    assert judge([], [*GOOD, 0.2, 0.2], 0.04, 0.3) == []


def test_seeds_make_other_requests_in_other_orders() -> None:
    first, again, other = (list(hostile_bodies.requests(random.Random(seed))) for seed in (1, 1, 2))
    assert first == again
    assert [name for name, _, _ in first] != [name for name, _, _ in other]
    assert all(json.loads(body) for name, _, body in first if not name.startswith("hostile"))
