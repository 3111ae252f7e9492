"""Prometheus and Alertmanager themselves: their binaries have to be on PATH."""

from __future__ import annotations

import shutil

import pytest

BINARIES = ("promtool", "prometheus", "amtool", "alertmanager or prometheus-alertmanager")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Alerts take their time, to be raised and to be cleared."""
    for item in items:
        if "monitoring" in item.path.parts:
            item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(autouse=True, scope="session")
def _binaries_are_there() -> None:
    missing = [names for names in BINARIES if not any(map(shutil.which, names.split(" or ")))]
    assert not missing, f"not on PATH: {', '.join(missing)}"
