"""The job of stock RQ workers: nothing. RQ imports it by name, so it has a module of its own."""

from __future__ import annotations


def noop() -> None:
    """What is measured is all that happens around it."""
