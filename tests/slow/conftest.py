"""What takes too long for `make test`."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Load lasts for minutes, and a busy machine takes its time."""
    for item in items:
        if "slow" in item.path.parts:
            item.add_marker(pytest.mark.timeout(400))
