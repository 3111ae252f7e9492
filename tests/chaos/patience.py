"""Waiting that says in words what did not come true."""

from __future__ import annotations

from collections.abc import Callable

from tests.waiting import eventually


class Broken(AssertionError):
    """A bound did not hold; the text says which."""


def until(what: str, condition: Callable[[], object], timeout_s: float) -> None:
    """Raises `Broken` when the condition does not come true in time."""
    try:
        eventually(condition, timeout_s)
    except AssertionError:
        raise Broken(f"{what}: not within {timeout_s:g} s") from None


def require(condition: object, what: str) -> None:
    """Raises `Broken` unless the condition holds."""
    if not condition:
        raise Broken(what)
