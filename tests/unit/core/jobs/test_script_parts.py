"""What the loader puts in front of a script."""

from __future__ import annotations

from headrace.core.jobs.rq_adapter import _used_parts

COMMON = """-- A head that nobody needs.
local LOW, HIGH = 1, 2
local UNUSED = 3

-- Names HIGH, and helper() in this comment alone.
local function inner(x)
  return x + HIGH
end
local function helper() return UNUSED end
local function outer(x) return inner(x) end
"""


def test_a_script_gets_what_it_names_and_what_that_names() -> None:
    parts = _used_parts(COMMON, "return outer(1)")
    assert [line for line in parts.splitlines() if line.startswith("local")] == [
        "local LOW, HIGH = 1, 2",
        "local function inner(x)",
        "local function outer(x) return inner(x) end",
    ]


def test_a_script_that_names_nothing_gets_nothing() -> None:
    assert _used_parts(COMMON, "-- outer() is not called\nreturn redis.call('PING')") == ""
