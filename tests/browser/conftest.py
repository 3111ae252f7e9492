"""A browser itself: its binary has to be on PATH."""

from __future__ import annotations

import pytest

from tests.browser.chromium import NAMES, chromium


@pytest.fixture(autouse=True, scope="session")
def _a_browser_is_there() -> None:
    assert chromium(), f"not on PATH: {' or '.join(NAMES)}"
